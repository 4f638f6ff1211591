"""What the verdict asks of accounts and secrets."""

from weft.auth.parts import AuthParts
from weft.auth.secrets import find_weakness
from weft.core.verdict import Check, Finding, Level


def auth_checks(parts: AuthParts) -> dict[str, Check]:
    """The checks of the auth room, by code."""

    async def signing_secret() -> Finding:
        weakness = find_weakness(parts.secrets.signing.decode())
        if weakness is None:
            return Finding(code="auth.secret", level=Level.FINE, why="The signing secret is a strong one of its own.")
        return Finding(
            code="auth.secret",
            level=Level.LOOK,
            why=f"The signing secret {weakness}: anybody who guesses it can sign in as anybody; set WEFT_AUTH__SECRET_KEY.",
        )

    async def revocations() -> Finding:
        told = parts.revocations
        if told.deaf is None:
            why = (
                "Word of revocations comes from every process."
                if told.is_shared
                else "Revocations of this process hold at once."
            )
            return Finding(code="auth.revocations", level=Level.FINE, why=why)
        why = (
            f"No word of other processes' revocations comes ({told.deaf}): what they revoke works here for up to "
            f"{parts.settings.cache_s:g} s more."
        )
        return Finding(code="auth.revocations", level=Level.LOOK, why=why, parameters={"cache_s": parts.settings.cache_s})

    async def first_password() -> Finding:
        if not await parts.accounts.has_initial_password():
            return Finding(code="auth.first_password", level=Level.FINE, why="No printed password is in use.")
        if parts.environment == "development":
            why = "The printed password of the first administrator is in use, on this machine alone."
            return Finding(code="auth.first_password", level=Level.FINE, why=why)
        why = "The first administrator still has the password that was printed at the first start; change it."
        return Finding(code="auth.first_password", level=Level.LOOK, why=why)

    return {"auth.secret": signing_secret, "auth.first_password": first_password, "auth.revocations": revocations}
