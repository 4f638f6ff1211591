"""The promises of the port `Agency`, on every adapter. DataCite and the Handle server are handwritten doubles."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tests.services.agencies import PASSWORD, AgencyDouble, DataCiteDouble, HandleDouble, answering
from weft.core.errors import Refused, Unavailable
from weft.db.database import Database
from weft.db.migrate import migrate
from weft.identifiers.description import Description
from weft.identifiers.mint import Wanted
from weft.identifiers.parts import IdentifierParts
from weft.identifiers.port import Agency
from weft.identifiers.record import Record
from weft.identifiers.settings import IdentifiersSettings
from weft.testing.clock import ManualClock

LANDING = "https://lab.example.org"


class Ground:
    """An agency, the installation it works for, and the double it asks (None where it asks nobody)."""

    def __init__(self, parts: IdentifierParts, scheme: Any, double: AgencyDouble | None) -> None:
        self.parts = parts
        self.scheme = scheme
        self.double = double

    @property
    def agency(self) -> Agency:
        return self.parts.agencies[self.scheme]

    async def mint(self, *, is_public: bool = True) -> Record:
        description = Description(who=("Ada",), what="scan", when="2026", publisher="Lab", parts=("ark:99999/fk4part",))
        wanted = Wanted(target_kind="file", target_id="1", description=description, scheme=self.scheme, is_public=is_public)
        async with self.parts.database.writing() as session:
            return await self.parts.minter.mint(session, wanted)

    async def withdrawn(self, record: Record) -> Record:
        async with self.parts.database.writing() as session:
            return await self.parts.minter.withdraw(session, record.name, "mislabelled")


class AgencySuite:
    """One test per promise."""

    scheme: ClassVar[str]
    double_class: ClassVar[type[AgencyDouble] | None] = None

    def settings(self, url: str) -> dict[str, Any]:
        return {}

    @pytest.fixture
    async def ground(self, tmp_path: Path) -> AsyncIterator[Ground]:
        database = Database(f"sqlite:///{tmp_path / 'weft.db'}")
        await migrate(database)
        double = None if self.double_class is None else self.double_class()
        async with answering(double or AgencyDouble()):
            settings = {"public_url": LANDING, "timeout_s": 0.5, **self.settings("" if double is None else double.url)}
            parts = IdentifierParts.of(database, settings=IdentifiersSettings.model_validate(settings), clock=ManualClock())
            yield Ground(parts, self.scheme, double)
            await parts.close()
        await database.close()

    async def test_what_was_never_told_is_not_known(self, ground: Ground) -> None:
        record = msgspec.structs.replace(
            await ground.mint(), name="ark:99999/fk4never" if self.scheme == "ark" else "doi:10.5072/x"
        )

        assert await ground.agency.find(record) is None

    async def test_a_public_name_leads_to_its_page_and_telling_twice_changes_nothing(self, ground: Ground) -> None:
        record = await ground.mint()
        await ground.agency.publish(record)
        first = await ground.agency.find(record)
        kept = {} if ground.double is None else dict(ground.double.names)
        await ground.agency.publish(record)

        assert first is not None
        assert (first.state, first.url) == ("public", f"{LANDING}/{record.name}")
        assert await ground.agency.find(record) == first
        assert kept == ({} if ground.double is None else ground.double.names)

    async def test_a_reserved_name_is_not_public_and_becomes_so(self, ground: Ground) -> None:
        record = await ground.mint(is_public=False)
        for _ in range(2):
            await ground.agency.reserve(record)
        known = await ground.agency.find(record)
        assert known is None or known.state == "reserved"

        async with ground.parts.database.writing() as session:
            record = await ground.parts.minter.publish(session, record.name)
        await ground.agency.publish(record)
        known = await ground.agency.find(record)
        assert known is not None
        assert known.state == "public"

    async def test_a_withdrawn_name_stays_as_a_tombstone(self, ground: Ground) -> None:
        record = await ground.mint()
        await ground.agency.publish(record)
        record = await ground.withdrawn(record)
        for _ in range(2):
            await ground.agency.withdraw(record)

        known = await ground.agency.find(record)
        assert known is not None
        assert (known.state, known.url) == ("tombstone", f"{LANDING}/{record.name}")

    async def test_withdrawing_what_nobody_was_told_of_makes_nothing_known(self, ground: Ground) -> None:
        record = await ground.withdrawn(await ground.mint(is_public=False))
        for _ in range(2):
            await ground.agency.withdraw(record)

        known = await ground.agency.find(record)
        assert known is None or known.state == "tombstone"
        assert ground.double is None or ground.double.names == {}


class RemoteSuite(AgencySuite):
    """What can go wrong on the way to an agency."""

    async def test_a_refusal_says_why_and_tells_no_secret(self, ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
        assert ground.double is not None
        caplog.set_level(logging.DEBUG)
        record = await ground.mint()
        ground.double.user = "somebody else"

        with pytest.raises(Refused, match="password") as refused:
            await ground.agency.publish(record)

        spoken = str(refused.value) + repr(refused.value.details) + caplog.text
        assert PASSWORD not in spoken
        assert "Basic " not in spoken

    @pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
    async def test_an_agency_in_trouble_is_no_refusal(self, ground: Ground, status: int) -> None:
        assert ground.double is not None
        record = await ground.mint()
        ground.double.failing = status
        with pytest.raises(Unavailable):
            await ground.agency.publish(record)
        with pytest.raises(Unavailable):
            await ground.agency.find(record)
        ground.double.failing = None

        await ground.agency.publish(record)
        assert len(ground.double.names) == 1

    async def test_an_agency_that_is_away_or_silent_is_told_so_in_time(self, ground: Ground) -> None:
        assert ground.double is not None
        record = await ground.mint()
        await ground.double.stop()
        with pytest.raises(Unavailable, match="reached"):
            await ground.agency.publish(record)
        await ground.double.start()
        ground.double.silent = True
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match=r"within 0\.5 s"):
                await ground.agency.publish(record)
        ground.double.silent = False

        await ground.agency.publish(record)
        assert len(ground.double.names) == 1


class TestLocalAgency(AgencySuite):
    scheme = "ark"


class TestDataCiteAgency(RemoteSuite):
    scheme = "doi"
    double_class = DataCiteDouble

    def settings(self, url: str) -> dict[str, Any]:
        return {"doi": {"prefix": "10.5072", "api_url": url, "repository": "LAB.ONE", "password": PASSWORD}}

    async def test_datacite_gets_what_its_kernel_asks_for(self, ground: Ground) -> None:
        assert ground.double is not None
        record = await ground.mint()
        await ground.agency.publish(record)

        told = ground.double.names[record.bare_name]
        assert told["creators"] == [{"name": "Ada"}]
        assert told["titles"] == [{"title": "scan"}]
        assert (told["publisher"], told["publicationYear"]) == ("Lab", 2026)
        assert told["types"] == {"resourceTypeGeneral": "Dataset"}
        assert told["relatedIdentifiers"] == [
            {"relationType": "HasPart", "relatedIdentifier": "ark:99999/fk4part", "relatedIdentifierType": "ARK"}
        ]

    async def test_a_draft_that_is_withdrawn_is_deleted(self, ground: Ground) -> None:
        assert ground.double is not None
        record = await ground.mint(is_public=False)
        await ground.agency.reserve(record)
        assert ground.double.names[record.bare_name]["state"] == "draft"

        await ground.agency.withdraw(await ground.withdrawn(record))

        assert ground.double.names == {}

    async def test_a_hidden_doi_says_why(self, ground: Ground) -> None:
        assert ground.double is not None
        record = await ground.mint()
        await ground.agency.publish(record)
        await ground.agency.withdraw(await ground.withdrawn(record))

        told = ground.double.names[record.bare_name]
        assert told["state"] == "registered"
        assert told["descriptions"] == [{"description": "Withdrawn: mislabelled", "descriptionType": "Other"}]


class TestHandleAgency(RemoteSuite):
    scheme = "handle"
    double_class = HandleDouble

    def settings(self, url: str) -> dict[str, Any]:
        handle = {"prefix": "21.T12345", "server_url": url, "username": "300:21.T12345/USER01", "password": PASSWORD}
        return {"handle": handle}

    async def test_a_handle_of_somebody_else_is_never_written_over(self, ground: Ground) -> None:
        assert ground.double is not None
        record = await ground.mint()
        theirs = {"1": {"index": 1, "type": "URL", "data": {"format": "string", "value": "https://theirs.example"}}}
        ground.double.names[record.bare_name] = theirs

        with pytest.raises(Refused, match="not ours"):
            await ground.agency.publish(record)

        assert ground.double.names[record.bare_name] == theirs
