"""A torn tail is cut; damage in the middle is named, never skipped in silence (promise P5)."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from weft.core.batch import LogBatch
from weft.core.errors import Corrupt
from weft.core.position import TopicPartition
from weft.log.port import Damage, Log
from weft.log.settings import LogSettings
from weft.log.sqlite import SqliteLog
from weft.testing.clock import ManualClock
from weft.testing.factories import make_batch, make_row
from weft.testing.log_ground import fill, follow_until, ids_of, read_all

AT = TopicPartition("events", 0)
PARTITION = "partition-000"


def open_log(folder: Path, **settings: object) -> Log:
    chosen = LogSettings.model_validate(
        {"min_free_bytes": 0, "reserve_bytes": 0, "segment_bytes": 65_536, "checkpoint_interval_s": 3600, **settings}
    )
    return SqliteLog(f"sqlite://{folder}", settings=chosen, clock=ManualClock())


@dataclass
class Crash:
    """What the disk held when the process died, and every event that was acknowledged by then."""

    folder: Path
    ids: list[str]

    def again(self, folder: Path) -> Path:
        """The same disk once more."""
        shutil.copytree(self.folder, folder)
        return folder


@pytest.fixture
async def crash(tmp_path: Path) -> Crash:
    """Some sealed segments and a live one whose last groups stand in the write-ahead log alone."""
    image = tmp_path / "image"
    async with open_log(tmp_path / "log", segment_bytes=65_536) as log:
        at, _ = await fill(log, batches=12, events=300)
        for number in range(8):
            await log.append(make_batch([make_row(n, id=f"late-{number}-{n}", data={"x": "y" * n}) for n in range(40)]))
        ids = ids_of(await read_all(log, at))
        copy_like_a_crash(tmp_path / "log", image)
    return Crash(image, ids)


def copy_like_a_crash(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*-shm", "followers", "lock"))


def newest(folder: Path, suffix: str = "") -> Path:
    return max((folder / PARTITION).glob(f"0*.db{suffix}"))


async def survey(folder: Path) -> tuple[list[LogBatch], list[Damage], int]:
    """Everything that can be read, what is named as damaged, and the end."""
    found: list[LogBatch] = []
    damages: list[Damage] = []
    async with open_log(folder) as log:
        appended = await log.append(make_batch([make_row(id="after")]))
        assert appended.first_offset is not None
        end = appended.first_offset + 1
        offset = 0
        while offset < end:
            try:
                batches = await log.read(AT, offset)
            except Corrupt as damage:
                where = damage.details
                damages.append(Damage("events", 0, where["first_offset"], where["next_offset"], where["reason"]))
                assert where["next_offset"] > offset
                offset = where["next_offset"]
                continue
            found.extend(batches)
            offset = batches[-1].next_offset
    return found, damages, end


def account(found: list[LogBatch], damages: list[Damage], ids: list[str]) -> list[str]:
    """Which acknowledged events are neither read at their own offset nor inside a named range."""
    read = {batch.first_offset + index: event_id for batch in found for index, event_id in enumerate(batch.ids)}
    named = [(damage.first_offset, damage.next_offset) for damage in damages]
    return [
        event_id
        for offset, event_id in enumerate(ids)
        if read.get(offset) != event_id and not any(first <= offset < end for first, end in named)
    ]


async def test_a_crash_alone_loses_nothing(crash: Crash) -> None:
    found, damages, end = await survey(crash.folder)
    assert ids_of(found) == [*crash.ids, "after"]
    assert damages == []
    assert end == len(crash.ids) + 1


async def test_a_torn_tail_is_cut_wherever_it_tears(crash: Crash, tmp_path: Path) -> None:
    log = newest(crash.folder, "-wal")
    whole = log.read_bytes()
    chance = random.Random(7)
    cuts = [0, 31, 32, 33, 56, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(12))]
    for number, cut in enumerate(cuts):
        folder = crash.again(tmp_path / f"cut-{number}")
        newest(folder, "-wal").write_bytes(whole[:cut])
        found, damages, end = await survey(folder)
        kept = ids_of(found)[:-1]
        assert kept == crash.ids[: len(kept)], f"cut at {cut}"
        assert damages == []
        assert end == len(kept) + 1


async def test_a_garbled_tail_is_cut(crash: Crash) -> None:
    with newest(crash.folder, "-wal").open("ab") as log:
        log.write(random.Random(1).randbytes(3000))
    found, damages, _ = await survey(crash.folder)
    assert ids_of(found) == [*crash.ids, "after"]
    assert damages == []


@pytest.mark.parametrize("seed", range(25))
async def test_a_flipped_bit_in_a_segment_is_named(crash: Crash, seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice(sorted((crash.folder / PARTITION).glob("0*.db")))
    flip(path, chance.randrange(path.stat().st_size), 1 << chance.randrange(8))
    found, damages, _ = await survey(crash.folder)
    assert account(found, damages, crash.ids) == []
    assert sum(damage.next_offset - damage.first_offset for damage in damages) <= 2**33


@pytest.mark.parametrize("seed", range(25))
async def test_a_flipped_bit_in_the_write_ahead_log_is_named(crash: Crash, seed: int) -> None:
    """All but the last two groups: what is at the very end cannot be told from a torn tail."""
    chance = random.Random(seed)
    path = newest(crash.folder, "-wal")
    flip(path, chance.randrange(path.stat().st_size - 20_000), 1 << chance.randrange(8))
    found, damages, _ = await survey(crash.folder)
    assert account(found, damages, crash.ids) == []


def spoil_header(path: Path) -> None:
    flip(path, 3, 0xFF)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [spoil_header, empty, shorten, Path.unlink])
@pytest.mark.parametrize("which", [0, 1, -1])
async def test_a_spoilt_segment_file_is_set_aside_and_the_rest_goes_on(
    crash: Crash, spoil: Callable[[Path], None], which: int
) -> None:
    spoil(sorted((crash.folder / PARTITION).glob("0*.db"))[which])
    found, damages, _ = await survey(crash.folder)
    assert account(found, damages, crash.ids) == []
    assert ids_of(found)[-1] == "after"


async def test_a_follower_steps_over_damage_that_stands_in_the_state(crash: Crash) -> None:
    async with open_log(crash.folder):
        """Recovers and seals."""
    spoil_header(sorted((crash.folder / PARTITION).glob("0*.db"))[0])
    async with open_log(crash.folder) as log:
        await log.append(make_batch([make_row(id="after")]))
        (state,) = (await log.state()).partitions
        batches = await follow_until(log, "group", ["events"], 2000)
        assert batches[0].first_offset > 0
        (damage,) = (await log.state()).damages
        assert (damage.first_offset, damage.next_offset) == (0, batches[0].first_offset)
        assert state.start_offset == 0
    async with open_log(crash.folder) as log:
        assert (await log.state()).damages == [damage]


async def test_what_a_group_has_consumed_is_not_given_out_again(crash: Crash) -> None:
    """The newest group was consumed, then its bytes are lost like a torn tail: its offsets are named, not used again."""
    async with open_log(crash.folder) as log:
        await log.commit("group", {AT: len(crash.ids) + 5})
    _, damages, end = await survey(crash.folder)
    assert end == len(crash.ids) + 6
    assert [(damage.first_offset, damage.next_offset) for damage in damages] == [(len(crash.ids), len(crash.ids) + 5)]


def flip(path: Path, at: int, bits: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)
