"""Routes of a person's own account: register, verify, reset, look at it, change it."""

import logging
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, HTTPException, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from weft.api.exchange import exchange_of
from weft.auth.account import read_email
from weft.auth.error_code import ErrorCode
from weft.auth.letter import Purpose
from weft.auth.parts import AuthParts
from weft.auth.proof import Proof
from weft.auth.signature import AuthPartsOf, ProofOf, Public, SignedIn
from weft.auth.tables import User
from weft.core.errors import Conflict, Invalid, NotAllowed, NotFound, Refused, Unsupported, WeftError
from weft.core.times import to_text

logger = logging.getLogger(__name__)

router = APIRouter(tags=["accounts"])


def _address(text: str) -> str:
    try:
        return read_email(text)
    except Invalid as unfit:
        raise ValueError(unfit.message) from unfit


# Names inside a laboratory, such as ada@lab.local, are addresses too; the public rules would refuse them.
Address = Annotated[str, AfterValidator(_address), Field(max_length=320, json_schema_extra={"format": "email"})]


class UserRead(BaseModel):
    """An account as it is shown: the fields FastAPI-users' clients know, and when things happened."""

    id: str
    email: str
    is_active: bool
    is_superuser: bool
    is_verified: bool
    role: str
    created_at: str
    last_login_at: str | None
    deleted_at: str | None

    @classmethod
    def of(cls, user: User) -> "UserRead":
        """The account, without anything secret."""
        return cls(
            id=user.id,
            email=user.email,
            is_active=user.is_active,
            is_superuser=user.is_superuser,
            is_verified=user.is_verified,
            role=user.role,
            created_at=to_text(user.created_at_us),
            last_login_at=None if user.last_login_us is None else to_text(user.last_login_us),
            deleted_at=None if user.deleted_at_us is None else to_text(user.deleted_at_us),
        )


class Registration(BaseModel):
    """An e-mail address and a password. FastAPI-users' other fields are read and have no effect."""

    email: Address
    password: str = Field(max_length=4096)
    is_active: bool | None = True
    is_superuser: bool | None = False
    is_verified: bool | None = False


class AddressRequest(BaseModel):
    """An e-mail address."""

    email: Address


class VerifyRequest(BaseModel):
    """The token of a letter."""

    token: str = Field(max_length=4096)


class ResetRequest(VerifyRequest):
    """The token of a letter, and the new password."""

    password: str = Field(max_length=4096)


class OwnUpdate(BaseModel):
    """What a person may change. Role and flags are not among it; sent along, they are ignored."""

    model_config = ConfigDict(extra="ignore")

    email: Address | None = None
    password: str | None = Field(default=None, max_length=4096)
    current_password: str | None = Field(
        default=None, max_length=4096, description="Needed to change the address or the password."
    )


@router.post("/auth/register", dependencies=[Public], status_code=201, summary="Make yourself an account of role user")
async def register(body: Registration, request: Request, parts: AuthPartsOf) -> UserRead:
    """Role and flags in the body are ignored: power is given by an administrator, never taken."""
    if not parts.registration_is_open:
        raise NotAllowed("registration is closed here; ask an administrator for an account", code="REGISTER_CLOSED")
    await parts.requests.charge(body.email, exchange_of(request).client_ip)
    try:
        return UserRead.of(await parts.accounts.create(body.email, body.password))
    except Conflict as taken:
        raise Refused(taken.message, code=ErrorCode.REGISTER_USER_ALREADY_EXISTS) from taken
    except Invalid as unfit:
        raise bad_password(ErrorCode.REGISTER_INVALID_PASSWORD, unfit) from None


@router.post("/auth/request-verify-token", dependencies=[Public], status_code=202, summary="Send a letter to verify an address")
async def request_verify_token(body: AddressRequest, request: Request, tasks: BackgroundTasks, parts: AuthPartsOf) -> None:
    """Answers the same whether there is such an account or not."""
    await _send("verify", body.email, request, tasks, parts)


@router.post("/auth/verify", dependencies=[Public], summary="Prove that an address is yours")
async def verify(body: VerifyRequest, parts: AuthPartsOf) -> UserRead:
    """Takes the token of the letter, once."""
    user = await _addressee("verify", body.token, parts)
    if user is None:
        raise Refused("this token is not valid or too old; ask for another letter", code=ErrorCode.VERIFY_USER_BAD_TOKEN)
    if user.is_verified:
        raise Refused("this address is verified already", code=ErrorCode.VERIFY_USER_ALREADY_VERIFIED)
    if not parts.letters.fits("verify", body.token, user):
        raise Refused("this token is not valid or too old; ask for another letter", code=ErrorCode.VERIFY_USER_BAD_TOKEN)
    return UserRead.of(await parts.accounts.change(user.id, is_verified=True))


@router.post("/auth/forgot-password", dependencies=[Public], status_code=202, summary="Send a letter to set a new password")
async def forgot_password(body: AddressRequest, request: Request, tasks: BackgroundTasks, parts: AuthPartsOf) -> None:
    """Answers the same whether there is such an account or not."""
    await _send("reset", body.email, request, tasks, parts)


@router.post("/auth/reset-password", dependencies=[Public], summary="Set a new password with the token of a letter")
async def reset_password(body: ResetRequest, parts: AuthPartsOf) -> None:
    """Takes the token once, and ends every session of the account."""
    user = await _addressee("reset", body.token, parts)
    if user is None or not parts.letters.fits("reset", body.token, user):
        raise Refused("this token is not valid or too old; ask for another letter", code=ErrorCode.RESET_PASSWORD_BAD_TOKEN)
    try:
        await parts.accounts.set_password(user.id, body.password)
    except Invalid as unfit:
        raise bad_password(ErrorCode.RESET_PASSWORD_INVALID_PASSWORD, unfit) from None


@router.get("/users/me", summary="Your account")
async def read_me(_: SignedIn, proof: ProofOf, parts: AuthPartsOf) -> UserRead:
    """The account that is signed in."""
    return UserRead.of(await parts.accounts.get(person(proof)))


@router.patch("/users/me", summary="Change your address or password")
async def update_me(body: OwnUpdate, _: SignedIn, proof: ProofOf, parts: AuthPartsOf) -> UserRead:
    """Needs the current password. Changing the password ends every other session of the account."""
    user = await parts.accounts.get(person(proof))
    if body.password is None and (body.email is None or body.email == user.email):
        return UserRead.of(user)
    if body.current_password is None or not await parts.accounts.check_password(user, body.current_password):
        raise Refused(
            "changing the address or the password needs the current password, as 'current_password'",
            code=ErrorCode.UPDATE_USER_INVALID_PASSWORD,
            field="current_password",
        )
    if body.password is not None:
        try:
            user = await parts.accounts.set_password(user.id, body.password, keep_session=proof.session_id)
        except Invalid as unfit:
            raise bad_password(ErrorCode.UPDATE_USER_INVALID_PASSWORD, unfit) from None
    if body.email is not None:
        user = await change_email(user.id, body.email, parts)
    return UserRead.of(user)


async def change_email(user_id: str, email: str, parts: AuthParts) -> User:
    """A new address; a taken one is answered as FastAPI-users' clients know it."""
    try:
        return await parts.accounts.change(user_id, email=email)
    except Conflict as taken:
        raise Refused(taken.message, code=ErrorCode.UPDATE_USER_EMAIL_ALREADY_EXISTS) from taken


def person(proof: Proof) -> str:
    """The account of a person who is signed in. Raises NotAllowed for an API key, which is nobody."""
    if proof.session_id is None or proof.subject_id is None:
        raise NotAllowed("an API key is no person; sign in with an account")
    return proof.subject_id


def bad_password(code: ErrorCode, unfit: Invalid) -> HTTPException:
    """The answer FastAPI-users' clients know for a password that may not be chosen."""
    return HTTPException(400, detail={"code": code.value, "reason": unfit.message})


async def _send(purpose: Purpose, email: str, request: Request, tasks: BackgroundTasks, parts: AuthParts) -> None:
    """Writes the letter after the answer, so that the answer takes as long for an unknown address as for a known one."""
    if parts.deliver is None:
        raise Unsupported(
            "this installation sends no mail; an administrator can verify an account or set its password with 'weft users'"
        )
    await parts.requests.charge(email, exchange_of(request).client_ip)
    tasks.add_task(_write_and_deliver, purpose, email, parts)


async def _write_and_deliver(purpose: Purpose, email: str, parts: AuthParts) -> None:
    user = await parts.accounts.find_by_email(email)
    if parts.deliver is None or user is None or not user.may_sign_in or (purpose == "verify" and user.is_verified):
        return
    try:
        await parts.deliver(purpose, user.email, parts.letters.write(purpose, user))
    except WeftError as failure:  # the answer is out; only the log can tell
        logger.warning("letter_not_delivered", extra={"purpose": purpose, "account_id": user.id, "why": failure.message})


async def _addressee(purpose: Purpose, token: str, parts: AuthParts) -> User | None:
    user_id = parts.letters.read_user_id(purpose, token)
    if user_id is None:
        return None
    try:
        user = await parts.accounts.get(user_id)
    except NotFound:
        return None
    return user if user.may_sign_in else None
