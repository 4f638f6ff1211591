"""Minting: a name and what it names are there together or not at all, and a name is never given twice."""

import asyncio

import pytest
from sqlalchemy import func, select

from tests.integration.identifiers.conftest import Office, OpenOffice, describe
from weft.core.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from weft.identifiers import mint as minting
from weft.identifiers.ark import has_valid_check
from weft.identifiers.mint import Wanted
from weft.identifiers.tables import IdentifierRow, RegistrationRow

KINDS = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


async def count(office: Office, table: type = IdentifierRow) -> int:
    async with office.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def mint_and_fail(office: Office) -> None:
    async with office.database.writing() as session:
        for scheme in ("ark", "doi"):
            wanted = Wanted(target_kind="file", target_id="f-1", description=describe(), scheme=scheme)
            await office.parts.minter.mint(session, wanted)
        raise RuntimeError("the registration of the file failed")


@pytest.mark.contract("SW-identifiers")
async def test_an_ark_is_labelled_anew_short_and_has_its_check_character(office: Office) -> None:
    minted = await office.mint()

    assert minted.name.startswith("ark:99999/fk4")
    assert has_valid_check(minted.bare_name)
    assert not minted.is_persistent, "99999 is for trying, and whoever reads the name has to be told"


@KINDS
async def test_what_is_rolled_back_was_never_minted(kind: str, open_office: OpenOffice) -> None:
    async with open_office(kind=kind, **DOI) as office:
        with pytest.raises(RuntimeError):
            await mint_and_fail(office)

        assert await count(office) == 0
        assert await count(office, RegistrationRow) == 0


@KINDS
async def test_the_same_target_keeps_its_name_however_many_ask_at_once(kind: str, open_office: OpenOffice) -> None:
    async with open_office(kind=kind) as office:
        names = {minted.name for minted in await asyncio.gather(*(office.mint("f-1") for _ in range(8)))}

        assert len(names) == 1
        assert await count(office) == 1


async def test_a_taken_name_is_not_given_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await office.mint("f-1")
    made = iter([first.bare_name, first.bare_name, "99999/fk4free"])
    monkeypatch.setattr(minting, "make_checked", lambda *_: next(made))

    assert (await office.mint("f-2")).name == "ark:99999/fk4free"


async def test_a_shoulder_that_is_used_up_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await office.mint("f-1")
    monkeypatch.setattr(minting, "make_checked", lambda *_: first.bare_name)

    with pytest.raises(Unavailable, match="another shoulder"):
        await office.mint("f-2")


@KINDS
async def test_later_versions_are_variants_of_the_first_name(kind: str, open_office: OpenOffice) -> None:
    async with open_office(kind=kind) as office:
        first = await office.mint("f-1")
        second = await office.mint("f-2", version_of=first.name)
        third = await office.mint("f-3", version_of=second.name)

        assert [each.name for each in (second, third)] == [f"{first.name}.v2", f"{first.name}.v3"]
        assert [each.version for each in (first, second, third)] == [1, 2, 3]
        assert third.version_of == first.name
        again = await office.mint("f-2", version_of=first.name)
        assert again.name == second.name


async def test_a_tombstone_stays_one_and_its_target_gets_no_other_name(office: Office) -> None:
    minted = await office.mint("f-1")
    await office.withdraw(minted.name, "the sample was mislabelled")

    again = await office.mint("f-1")
    assert (again.name, again.state, again.reason) == (minted.name, "tombstone", "the sample was mislabelled")
    with pytest.raises(Conflict, match="mislabelled"):
        await office.publish(minted.name)
    assert (await office.withdraw(minted.name, "another reason")).reason == "the sample was mislabelled"


async def test_what_cannot_be_minted_is_refused_with_the_field(office: Office) -> None:
    with pytest.raises(Unsupported, match=r"doi\.prefix"):
        await office.mint(scheme="doi")
    with pytest.raises(NotFound):
        await office.mint(version_of="ark:99999/fk4nothere")
    with pytest.raises(Invalid, match="target_kind"):
        await office.mint(target_kind="../file")
    with pytest.raises(Invalid, match="target_id"):
        await office.mint("f\n1")
    minted = await office.mint()
    with pytest.raises(Invalid, match="why"):
        await office.withdraw(minted.name, "  ")


async def test_a_doi_is_refused_before_anything_was_promised_that_datacite_would_refuse(open_office: OpenOffice) -> None:
    async with open_office(**DOI) as office:
        with pytest.raises(Invalid, match=r"metadata\.when"):
            await office.mint(scheme="doi", description=describe(when=None))
        reserved = await office.mint(scheme="doi", description=describe(when=None), is_public=False)
        with pytest.raises(Invalid, match=r"metadata\.when"):
            await office.publish(reserved.name)


DOI = {"public_url": "https://lab.example.org", "doi": {"prefix": "10.5072", "repository": "LAB.ONE", "password": "secret"}}
