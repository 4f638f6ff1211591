"""Routes for signing in and out, in the forms clients know: form, JSON, cookie, refresh."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, ConfigDict, Field

from weft.api.exchange import caller_of, exchange_of
from weft.auth.authenticate import CSRF_HEADER
from weft.auth.error_code import ErrorCode
from weft.auth.parts import AuthParts
from weft.auth.session import Opened
from weft.auth.signature import AuthPartsOf, ProofOf, Public, SignedIn
from weft.core.errors import Refused, Unauthenticated
from weft.core.times import SECOND_US

router = APIRouter(tags=["auth"])

PasswordForm = Annotated[OAuth2PasswordRequestForm, Depends()]


class Credentials(BaseModel):
    """A name (the e-mail address) and a password."""

    model_config = ConfigDict(extra="ignore")

    username: str = Field(max_length=320)
    password: str = Field(max_length=4096)


class RefreshRequest(BaseModel):
    """The refresh token of the last answer."""

    refresh_token: str = Field(max_length=256)


class TokenAnswer(BaseModel):
    """An access token, and the refresh token that replaces it once."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str
    refresh_expires_in: int = Field(description="Seconds until the refresh token expires.")


@router.post("/auth/jwt/login", dependencies=[Public], summary="Sign in with a form; wrong credentials are 400")
async def log_in_by_form(form: PasswordForm, request: Request, response: Response, parts: AuthPartsOf) -> TokenAnswer:
    """The password grant of OAuth 2, for clients that know it. New clients use the cookie or an API key."""
    try:
        return await _sign_in(form.username, form.password, request, response, parts)
    except Unauthenticated as refused:
        raise Refused(refused.message, code=ErrorCode.LOGIN_BAD_CREDENTIALS) from refused


@router.post("/api/v1/auth/token", dependencies=[Public], summary="Sign in with a form; wrong credentials are 401")
async def log_in_by_token_form(form: PasswordForm, request: Request, response: Response, parts: AuthPartsOf) -> TokenAnswer:
    """The same as `/auth/jwt/login` under the address OAuth 2 tools are given."""
    return await _sign_in(form.username, form.password, request, response, parts)


@router.post("/auth/login", dependencies=[Public], summary="Sign in with JSON; wrong credentials are 401")
async def log_in_by_json(body: Credentials, request: Request, response: Response, parts: AuthPartsOf) -> TokenAnswer:
    """The same with a JSON body."""
    return await _sign_in(body.username, body.password, request, response, parts)


@router.post("/auth/cookie/login", dependencies=[Public], status_code=204, summary="Sign in a browser")
async def log_in_by_cookie(form: PasswordForm, request: Request, parts: AuthPartsOf) -> Response:
    """Sets an HttpOnly cookie that scripts cannot read. The CSRF token comes as a header and from `GET /api/v1/session`."""
    parts.authenticator.check_origin(caller_of(request))
    client_ip = exchange_of(request).client_ip
    try:
        user = await parts.login.check(form.username, form.password, client_ip)
    except Unauthenticated as refused:
        raise Refused(refused.message, code=ErrorCode.LOGIN_BAD_CREDENTIALS) from refused
    opened = await parts.sessions.open_for_cookie(user, client_ip)
    response = Response(status_code=204, headers={"Cache-Control": "no-store"})
    response.headers[CSRF_HEADER] = parts.sessions.csrf_of(opened.session_id)
    response.set_cookie(
        parts.cookie.name,
        opened.secret,
        max_age=_seconds_left(opened, parts),
        path="/",
        secure=parts.cookie.secure,
        httponly=True,
        samesite="lax",
    )
    return response


@router.post("/auth/refresh", dependencies=[Public], summary="A new access token for a refresh token, which is used up")
async def refresh(body: RefreshRequest, response: Response, parts: AuthPartsOf) -> TokenAnswer:
    """A refresh token works once. Sent a second time, it ends the whole session: one of the two senders stole it."""
    opened = await parts.sessions.refresh(body.refresh_token)
    return _answer(opened, response, parts)


@router.post("/auth/logout", status_code=204, summary="Sign out")
@router.post("/auth/jwt/logout", status_code=204, summary="Sign out")
@router.post("/auth/cookie/logout", status_code=204, summary="Sign out a browser")
async def log_out(_: SignedIn, proof: ProofOf, parts: AuthPartsOf) -> Response:
    """Ends the session: its access tokens, its refresh token and its cookie stop working."""
    if proof.session_id is None:
        raise Refused("an API key cannot sign out; revoke it with DELETE /api/v1/api-keys/{id}")
    await parts.sessions.end(proof.session_id)
    response = Response(status_code=204)
    if proof.method == "cookie":
        response.delete_cookie(parts.cookie.name, path="/", secure=parts.cookie.secure, httponly=True, samesite="lax")
    return response


async def _sign_in(username: str, password: str, request: Request, response: Response, parts: AuthParts) -> TokenAnswer:
    client_ip = exchange_of(request).client_ip
    user = await parts.login.check(username, password, client_ip)
    return _answer(await parts.sessions.open_for_tokens(user, client_ip), response, parts)


def _answer(opened: Opened, response: Response, parts: AuthParts) -> TokenAnswer:
    response.headers["Cache-Control"] = "no-store"
    token = parts.tokens.issue(user_id=opened.user.id, session_id=opened.session_id, token_version=opened.user.token_version)
    return TokenAnswer(
        access_token=token,
        expires_in=parts.tokens.lifetime_s,
        refresh_token=opened.secret,
        refresh_expires_in=_seconds_left(opened, parts),
    )


def _seconds_left(opened: Opened, parts: AuthParts) -> int:
    return -((parts.clock.now_us() - opened.expires_at_us) // SECOND_US)
