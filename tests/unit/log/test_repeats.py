"""What is remembered of events with ids of their own."""

import numpy as np

from weft.core.times import SECOND_US
from weft.log.bloom import BloomFilter
from weft.log.kept import KeptRepeats
from weft.log.repeats import Place, RepeatIndex


def keys(first: int, count: int) -> np.ndarray:
    chance = np.random.default_rng(first)
    return chance.integers(1, 2**63, size=count, dtype=np.uint64)


def filled(parts: int, size: int, *, age_us: int = 2**60, count: int = 10**9) -> RepeatIndex:
    index = RepeatIndex(age_us=age_us, count=count)
    for number in range(parts):
        index.add(Place("events", number, number + 1), keys(number, size), number * SECOND_US, number * SECOND_US)
    return index


def test_every_key_is_found_with_its_place_however_many_generations_there_are() -> None:
    index = filled(parts=40, size=5_000)
    for number in (0, 13, 39):
        found = index.find(keys(number, 5_000))
        assert len(found) == 5_000
        assert all(Place("events", number, number + 1) in places for places in found.values())


def test_a_key_never_seen_is_not_found() -> None:
    assert filled(parts=20, size=5_000).find(keys(10**6, 5_000)) == {}


def test_no_key_stays_no_key_and_is_never_found() -> None:
    index = RepeatIndex(age_us=2**60, count=10**9)
    none = np.zeros(3, dtype=np.uint64)
    index.add(Place("events", 0, 3), RepeatIndex.salted("events", none), 0, 0)
    assert index.find(RepeatIndex.salted("events", none)) == {}


def test_the_oldest_go_when_there_are_too_many() -> None:
    index = filled(parts=60, size=10_000, count=200_000)
    assert len(index) <= 300_000
    assert index.find(keys(0, 10_000)) == {}
    assert len(index.find(keys(59, 10_000))) == 10_000


def test_the_oldest_go_when_the_horizon_has_passed() -> None:
    index = filled(parts=60, size=10_000, age_us=10 * SECOND_US, count=10**9)
    assert index.find(keys(0, 10_000)) == {}
    assert len(index.find(keys(59, 10_000))) == 10_000


def test_the_same_key_in_another_topic_is_another_key() -> None:
    key = keys(1, 1)
    assert RepeatIndex.salted("one", key)[0] != RepeatIndex.salted("two", key)[0]


def test_five_million_keys_take_less_than_a_hundred_megabytes() -> None:
    index = filled(parts=50, size=100_000, count=5_000_000)
    size = sum(part.keys.nbytes + part.places.nbytes for part in index._generations)
    assert len(index) >= 4_900_000
    assert size < 100 * 2**20


def test_what_is_kept_after_trimming_is_compared_by_its_texts() -> None:
    kept = KeptRepeats.collect(5, [(7, "source", "a"), (7, "source", "b"), (3, "source", "c")])
    again = KeptRepeats.from_bytes(5, kept.to_bytes())
    assert again.suspects(np.array([1, 7, 3], dtype=np.uint64)) == [1, 2]
    assert again.has(7, ("source", "b"))
    assert not again.has(7, ("source", "c"))
    assert not again.has(9, ("source", "a"))


def test_the_filter_never_denies_a_key_it_has_seen_and_rarely_claims_one_it_has_not() -> None:
    seen = BloomFilter(100_000)
    seen.add(keys(1, 100_000))
    assert seen.may_hold(keys(1, 100_000)).all()
    assert seen.may_hold(keys(2, 100_000)).mean() < 0.003


def test_a_key_of_several_places_is_found_with_all_of_them_while_new_and_when_old() -> None:
    index = RepeatIndex(age_us=2**60, count=10**9)
    first, second = Place("events", 0, 1), Place("events", 1, 2)
    twice = keys(7, 3)
    index.add(first, twice, 0, 0)
    index.add(second, twice, 0, 0)
    assert index.find(twice) == {0: [first, second], 1: [first, second], 2: [first, second]}
    index.add(Place("events", 2, 3), keys(8, 40_000), 0, 0)
    assert index.find(twice) == {0: [first, second], 1: [first, second], 2: [first, second]}


def test_a_batch_larger_than_what_is_kept_unsorted_keeps_its_place_when_older_ones_are_forgotten() -> None:
    index = RepeatIndex(age_us=SECOND_US, count=10**9)
    index.add(Place("events", 0, 1), keys(1, 20_000), 0, 60 * SECOND_US)
    found = index.find(keys(1, 20_000))
    assert all(places == [Place("events", 0, 1)] for places in found.values())
