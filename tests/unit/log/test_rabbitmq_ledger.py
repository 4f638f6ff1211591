"""What processes know together on RabbitMQ, and which entries of a stream count."""

from hypothesis import given
from hypothesis import strategies as st

from weft.core.position import TopicPartition
from weft.log.rabbitmq.broker import Delivered
from weft.log.rabbitmq.cursor import Checkpoints, Cursor
from weft.log.rabbitmq.entry import GROUP, HELLO, MARKER, End, Entry, encode
from weft.log.rabbitmq.ledger import Ledger, Mark

MOVES = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["events", "other"]), st.integers(0, 2), st.integers(0, 100), st.integers(0, 2)
    ),
    max_size=20,
)


@given(MOVES, st.randoms())
def test_pages_give_the_same_ledger_in_whatever_order_and_number_they_come(
    moves: list[tuple[str, str, int, int, int]], chance: "object"
) -> None:
    writers = [Ledger() for _ in range(3)]
    pages: list[bytes] = []
    for group, topic, partition, offset, writer in moves:
        writers[writer].move(group, {TopicPartition(topic, partition): offset})
        writers[writer].mark(partition, Mark(offset, offset))
        pages.append(writers[writer].page(""))
    in_order, shuffled = Ledger(), Ledger()
    for page in pages:
        in_order.join(page)
    again = [*pages, *pages]
    chance.shuffle(again)  # type: ignore[attr-defined]  # Hypothesis' random
    for page in again:
        shuffled.join(page)
    assert in_order.positions == shuffled.positions
    assert in_order.marks == shuffled.marks


def test_a_position_in_a_late_page_never_moves_a_group_back() -> None:
    at = TopicPartition("events", 0)
    late, ledger = Ledger(), Ledger()
    late.move("group", {at: 3})
    ledger.move("group", {at: 9})
    ledger.join(late.page(""))
    assert ledger.positions == {"group": {at: 9}}


def test_a_partition_closed_in_order_is_open_again_with_its_next_writer() -> None:
    ledger = Ledger()
    ends = {"events": End(5, 5, 0, None, None)}
    for mark in (Mark(7, 40), Mark(7, 12, ends), Mark(7, 41)):
        ledger.mark(0, mark)
    assert ledger.marks[0].ends == ends
    ledger.mark(0, Mark(50, 50))
    assert ledger.marks[0].ends is None


def test_what_somebody_else_wrote_into_the_ledger_is_left_alone() -> None:
    ledger = Ledger()
    assert ledger.join(b"not ours") is None
    assert not ledger.positions


def test_an_entry_of_a_writer_whose_time_is_over_does_not_count() -> None:
    ends = {"events": End(10, 10, 0, None, None)}
    cursor = Cursor()
    first = cursor.take(Delivered(0, encode(Entry(HELLO, -1, "a", {}))))
    assert first is not None
    assert cursor.take(Delivered(1, encode(Entry(GROUP, 0)))) is not None
    cursor.take(Delivered(2, encode(Entry(HELLO, -1, "b", ends))))
    assert cursor.take(Delivered(3, encode(Entry(GROUP, 0, repeats={"events": 1})))) is None, "it was cut off before"
    assert cursor.take(Delivered(4, encode(Entry(GROUP, 2, repeats={"events": 1})))) is not None
    assert cursor.ends is not None
    assert (cursor.epoch, cursor.ends["events"].next_offset, cursor.ends["events"].repeats_total) == (2, 10, 1)


def test_markers_and_strange_messages_change_nothing() -> None:
    cursor = Cursor(epoch=0, ends={})
    assert cursor.take(Delivered(1, encode(Entry(MARKER, -1, "word")))) is not None
    assert cursor.take(Delivered(2, b"{}")) is None
    assert (cursor.position, cursor.epoch, cursor.ends) == (3, 0, {})


def test_the_nearest_known_places_around_an_offset_are_found_also_when_many_were_forgotten() -> None:
    known = Checkpoints(limit=8)
    for position in range(0, 1000, 10):
        known.note(position, Entry(GROUP, 0, ends={"events": End(position * 3, 0, 0, None, None)}))
    low, high = known.around("events", 1500)
    assert low is None or low.offsets["events"] <= 1500
    assert high is not None
    assert high.offsets["events"] > 1500
    assert known.around("events", 0)[0] is not None, "where the stream begins is never forgotten"
