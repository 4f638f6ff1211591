"""The root of each day: signed once it is over, checked with the public key and nothing else."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.integration.audit.conftest import Books, deed
from weft.audit.entry import ROOT_FORMAT, Root
from weft.audit.key import load_signing_key, read_public_keys
from weft.audit.lines import read_database
from weft.audit.signer import RootSigner
from weft.core.errors import Invalid

DAY_S = 86_400


async def test_a_day_is_signed_when_it_is_over_and_once(books: Books) -> None:
    await books.write(deed())
    assert await books.signer.look() is None, "the ledger was not there yesterday, and today is not over"
    books.clock.advance(DAY_S)
    root = await books.signer.look()
    assert root is not None
    assert (root.day, root.number) == ("2026-05-28", 1)
    assert await books.signer.look() is None


async def test_days_on_which_nothing_ran_are_covered_by_the_next_root(books: Books) -> None:
    await books.write(deed())
    books.clock.advance(5 * DAY_S)
    await books.write(deed())

    assert await books.signer.look() is not None
    found = await books.verify()
    assert (found.ok, found.entries, found.roots) == (True, 2, 1)


async def test_nothing_is_signed_where_nothing_was_written(books: Books) -> None:
    assert await books.signer.look() is None
    assert (await books.verify()).sentence == "The ledger is empty: nothing was written down yet."


async def test_of_two_processes_one_signs(books: Books) -> None:
    await books.write(deed())
    books.clock.advance(DAY_S)
    other = RootSigner(books.database, books.key, clock=books.clock)

    signed = await asyncio.gather(books.signer.look(), other.look())

    assert len([root for root in signed if root is not None]) == 1
    assert (await books.verify()).roots == 1


async def test_a_root_is_checked_with_the_public_key_and_any_library(books: Books, tmp_path: Path) -> None:
    await books.write(deed(), deed())
    await books.close_day()
    (root,) = [line async for line in read_database(books.database) if isinstance(line, Root)]

    key = load_pem_public_key(books.key.public.pem().encode())
    fields = (ROOT_FORMAT, root.day, root.number, root.hash, root.signed_at_us, root.key_id)
    message = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    key.verify(bytes.fromhex(root.signature), message)  # type: ignore[call-arg, union-attr] - raises where it does not fit

    (tmp_path / "audit.pub").write_text(books.key.public.pem())
    found = await books.verify(*read_public_keys([tmp_path / "audit.pub"]))
    assert found.ok


async def test_roots_without_a_key_to_check_them_are_not_called_fine(books: Books, tmp_path: Path) -> None:
    await books.write(deed())
    await books.close_day()
    other = load_signing_key(None, tmp_path / "other")

    found = await books.verify(other.public)

    assert not found.ok
    assert "1 signed root was not checked" in found.sentence
    assert books.key.public.id in found.sentence


def test_the_private_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = load_signing_key(None, tmp_path)
    assert load_signing_key(None, tmp_path).public.id == first.public.id
    (file,) = tmp_path.glob("*.key")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN {0} KEY-----\nAAAA\n-----END {0} KEY-----".format("PRIVATE")])
def test_what_is_no_key_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "some.pem").write_text(text)
    with pytest.raises(Invalid, match=r"some\.pem"):
        load_signing_key(tmp_path / "some.pem", tmp_path)
    with pytest.raises(Invalid, match=r"some\.pem"):
        read_public_keys([tmp_path / "some.pem"])
    with pytest.raises(Invalid, match=r"nowhere\.pem"):
        load_signing_key(tmp_path / "nowhere.pem", tmp_path)


async def test_the_worker_signs_as_soon_as_it_runs(books: Books) -> None:
    await books.write(deed())
    books.clock.advance(DAY_S)
    task = asyncio.create_task(books.signer.run(lambda: None))
    try:
        async with asyncio.timeout(20):
            while not (await books.verify()).roots:  # noqa: ASYNC110 - the worker tells nobody
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
