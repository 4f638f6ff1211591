"""What clients of FastAPI-users know goes on meaning the same."""

from fastapi_users.router.common import ErrorCode as TheirCode
from fastapi_users.schemas import BaseUserCreate

from weft.auth.account_routes import Registration
from weft.auth.error_code import ErrorCode


def test_every_code_is_one_of_fastapi_users() -> None:
    assert {code.name: code.value for code in ErrorCode}.items() <= {code.name: code.value for code in TheirCode}.items()


def test_whoever_registers_may_send_what_fastapi_users_takes() -> None:
    ours, theirs = Registration.model_fields, BaseUserCreate.model_fields

    assert set(ours) == set(theirs)
    assert {name for name, field in ours.items() if field.is_required()} == {"email", "password"}
    flags = {name: field.annotation for name, field in ours.items() if not field.is_required()}
    assert flags == {name: field.annotation for name, field in theirs.items() if not field.is_required()}
    assert {ours[name].default for name in flags if name != "is_active"} == {False}
    assert ours["is_active"].default is True
