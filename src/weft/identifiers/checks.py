"""What identifiers look at for the verdict: do agencies know what they should?"""

from typing import Final

from sqlalchemy import func, select

from weft.core.clock import Clock
from weft.core.times import HOUR_US, SECOND_US
from weft.core.verdict import Check, Finding, Level
from weft.db.database import Database
from weft.identifiers.registrations import REFUSED, WAITING
from weft.identifiers.tables import IdentifierRow, RegistrationRow

REGISTRATION: Final = "identifiers.registration"

_SAID_CHARS: Final = 160


def identifier_checks(database: Database, *, clock: Clock) -> dict[str, Check]:
    """The checks, by code."""

    async def registration() -> Finding:
        return await _registration(database, clock.now_us())

    return {REGISTRATION: registration}


async def _registration(database: Database, now_us: int) -> Finding:
    """Agencies refused something, or have been away for long."""
    async with database.reading() as session:
        refused = select(IdentifierRow.name, RegistrationRow.said).join(
            RegistrationRow, RegistrationRow.identifier_id == IdentifierRow.id
        )
        first = (await session.execute(refused.where(RegistrationRow.state == REFUSED).limit(1))).first()
        counted = select(RegistrationRow.state, func.count(), func.min(RegistrationRow.waiting_since_us))
        states = {
            state: (number, since_us)
            for state, number, since_us in await session.execute(counted.group_by(RegistrationRow.state))
        }
    if first is not None:
        number = states[REFUSED][0]
        why = f"{number} identifiers were refused by their agency, {first[0]} among them: {first[1][:_SAID_CHARS]}"
        return Finding(code=REGISTRATION, level=Level.ACT, why=why, parameters={"identifiers": number})
    waiting, since_us = states.get(WAITING, (0, now_us))
    if now_us - since_us > HOUR_US:
        waits_s = (now_us - since_us) // SECOND_US
        why = f"{waiting} identifiers have waited for their agency for up to {waits_s} s"
        return Finding(code=REGISTRATION, level=Level.LOOK, why=why, parameters={"identifiers": waiting, "waits_s": waits_s})
    return Finding(code=REGISTRATION, level=Level.FINE, why="Agencies know what they should, or are being told.")
