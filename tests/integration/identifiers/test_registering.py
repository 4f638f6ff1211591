"""The queue of registrations: what is to be told is told, once under one name, whatever is away and whoever is killed."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.integration.identifiers.conftest import Office, OpenOffice, describe
from tests.services.agencies import PASSWORD, DataCiteDouble, answering
from weft.core.clock import SystemClock
from weft.core.errors import Conflict
from weft.core.verdict import Level
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.identifiers.checks import REGISTRATION
from weft.identifiers.mint import Minter, Wanted
from weft.identifiers.registrar import Registrar
from weft.identifiers.settings import IdentifiersSettings
from weft.identifiers.tables import IdentifierRow, RegistrationRow

PROGRAM = Path(__file__).with_name("register_program.py")


@pytest.fixture
async def datacite() -> AsyncIterator[DataCiteDouble]:
    double = DataCiteDouble()
    async with answering(double):
        yield double


def at(double: DataCiteDouble, **more: Any) -> dict[str, Any]:
    """Settings of an installation that registers DOIs at a double."""
    doi = {"prefix": "10.5072", "api_url": double.url, "repository": "LAB.ONE", "password": PASSWORD}
    return {"public_url": "https://lab.example.org", "default_scheme": "doi", "doi": doi, "timeout_s": 1, **more}


async def state_of(office: Office, name: str) -> tuple[str, int]:
    async with office.database.reading() as session:
        ours = select(RegistrationRow).join(IdentifierRow, IdentifierRow.id == RegistrationRow.identifier_id)
        row = (await session.scalars(ours.where(IdentifierRow.name == name))).one()
        return row.state, row.attempts


def successor(office: Office) -> Registrar:
    """Another process's registrar, which knows nothing but what was written down."""
    return Registrar(office.database, office.parts.agencies, settings=office.parts.settings, clock=office.clock)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_doi_goes_from_draft_to_findable_to_hidden(
    kind: str, open_office: OpenOffice, datacite: DataCiteDouble
) -> None:
    async with open_office(kind=kind, **at(datacite)) as office:
        name = (await office.mint(is_public=False)).name
        told = []
        for change in (None, office.publish, office.withdraw):
            if change is not None:
                await change(name)
            await office.parts.registrar.settle()
            told.append([doi["state"] for doi in datacite.names.values()])

        assert told == [["draft"], ["findable"], ["registered"]]
        assert await state_of(office, name) == ("registered", 1)


async def test_an_agency_that_is_away_stops_no_minting_and_is_told_when_it_is_back(
    open_office: OpenOffice, datacite: DataCiteDouble
) -> None:
    async with open_office(**at(datacite, first_retry_s=10)) as office:
        await datacite.stop()
        names = [(await office.mint(f"f-{number}")).name for number in range(3)]
        await office.parts.registrar.settle()
        assert sum(attempts for _, attempts in [await state_of(office, name) for name in names]) == 1, "one knock is enough"
        await datacite.start()
        await office.parts.registrar.settle()
        assert datacite.names == {}, "it was asked again before the wait was over"

        office.clock.advance(13)
        await office.parts.registrar.settle()

        assert {f"doi:{doi}" for doi in datacite.names} == set(names)
        assert {(await state_of(office, name))[0] for name in names} == {"registered"}


async def test_a_refusal_is_no_outage_and_does_not_hold_up_others(open_office: OpenOffice, datacite: DataCiteDouble) -> None:
    async with open_office(**at(datacite)) as office:
        refused = await office.mint("f-1")
        async with office.database.writing() as session:
            row = await session.get(IdentifierRow, refused.id)
            assert row is not None
            row.described = describe(when=None).model_dump_json()  # as if DataCite had become stricter than we are
        good = await office.mint("f-2")

        await office.parts.registrar.settle()
        office.clock.advance(86_400)
        await office.parts.registrar.settle()

        assert await state_of(office, refused.name) == ("refused", 1)
        assert await state_of(office, good.name) == ("registered", 1)
        finding = await office.parts.own_checks()[REGISTRATION]()
        assert (finding.level, "Can't be blank" in finding.why) == (Level.ACT, True)
        listed = (await office.admin.get("/api/v1/identifiers", params={"registration": "refused"})).json()["data"]
        assert [row["identifier"] for row in listed] == [refused.name]

        async with office.database.writing() as session:
            await office.parts.minter.describe(session, refused.name, describe())
        await office.parts.registrar.settle()
        assert await state_of(office, refused.name) == ("registered", 1)


async def test_what_was_refused_is_tried_again_when_somebody_says_so(open_office: OpenOffice, datacite: DataCiteDouble) -> None:
    async with open_office(**at(datacite)) as office:
        datacite.user = "changed"
        name = (await office.mint()).name
        await office.parts.registrar.settle()
        assert await state_of(office, name) == ("refused", 1)
        datacite.user = "LAB.ONE"

        assert (await office.admin.post("/api/v1/identifiers/retry")).json() == {"retried": 1}
        await office.parts.registrar.settle()

        assert await state_of(office, name) == ("registered", 1)
        assert (await office.parts.own_checks()[REGISTRATION]()).level is Level.FINE


async def test_what_changes_while_it_is_told_is_told_again(open_office: OpenOffice, datacite: DataCiteDouble) -> None:
    async with open_office(**at(datacite)) as office:
        name = (await office.mint()).name
        datacite.lag_s = 0.3
        settling = asyncio.create_task(office.parts.registrar.settle())
        await datacite.arrived.wait()
        await office.withdraw(name)
        await settling

        assert [doi["state"] for doi in datacite.names.values()] == ["registered"]
        assert (await state_of(office, name))[0] == "registered"


async def test_what_was_told_but_not_written_down_is_told_again_under_the_same_name(
    open_office: OpenOffice, datacite: DataCiteDouble
) -> None:
    async with open_office(**at(datacite)) as office:
        await office.mint()
        datacite.lag_s = 0.2
        first = office.parts.registrar
        settling = asyncio.create_task(first.settle())
        await datacite.arrived.wait()
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        await first._lease.release()
        await successor(office).settle()

        assert len(datacite.asked) == 2
        assert len(datacite.names) == 1


async def test_who_was_overtaken_writes_nothing_down(open_office: OpenOffice, datacite: DataCiteDouble) -> None:
    async with open_office(**at(datacite)) as office:
        sleeper = office.parts.registrar
        await sleeper.settle()
        held = sleeper._lease.epoch
        await sleeper._lease.release()
        await successor(office).settle()
        sleeper._lease._epoch = held  # it slept, and believes that it is still its turn
        name = (await office.mint()).name

        with pytest.raises(Conflict, match="taken over"):
            await sleeper.settle()

        assert await state_of(office, name) == ("waiting", 0)


async def test_arks_wait_for_nobody(office: Office) -> None:
    await office.mint()

    async with office.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(RegistrationRow)) == 0


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
async def test_killed_again_and_again_it_registers_each_once_and_loses_none(
    rounds: int, tmp_path: Path, datacite: DataCiteDouble
) -> None:
    url, chance = f"sqlite:///{tmp_path / 'weft.db'}", random.Random(7)
    settings = at(datacite)
    database, clock = Database(url), SystemClock()
    await migrate(database)
    minter = Minter(IdentifiersSettings.model_validate(settings), clock)
    datacite.lag_s = 0.03
    minted: list[str] = []
    for round_ in range(rounds + 1):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), url, json.dumps(settings), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"started\n"
        for step in range(5):
            wanted = Wanted(target_kind="run", target_id=f"{round_}-{step}", description=describe())
            async with database.writing() as session:
                minted.append((await minter.mint(session, wanted)).bare_name)
            await asyncio.sleep(chance.uniform(0, 0.1))
        if round_ == rounds:
            await _wait_until_all_are_registered(database, len(minted))
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    await database.close()

    assert sorted(datacite.names) == sorted(minted), "a DOI was lost, or registered under another name"
    assert {doi["state"] for doi in datacite.names.values()} == {"findable"}


async def _wait_until_all_are_registered(database: Database, number: int) -> None:
    async with asyncio.timeout(60):
        while True:
            async with database.reading() as session:
                done = select(func.count()).select_from(RegistrationRow).where(RegistrationRow.state == "registered")
                if await session.scalar(done) == number:
                    return
            await asyncio.sleep(0.1)
