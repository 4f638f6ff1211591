"""Events on their way to Kafka and back: what others can read there, and what comes back out."""

import msgspec
import pytest

from weft.core.errors import Invalid
from weft.log.kafka.address import parse_address
from weft.log.kafka.assemble import Assembler
from weft.log.kafka.client import Message
from weft.log.kafka.message import (
    RECEIVED_AT,
    STAMP_BYTES,
    Headers,
    Messages,
    Stamp,
    stamp_ids,
    tick_headers,
    to_messages,
    unpack_stamp,
)
from weft.log.kafka.settings import DAY_S, KafkaSettings
from weft.log.kafka.topics import retention_s, topic_config
from weft.testing.factories import NOON_US, make_batch, make_row

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def stamp_of(batch, *, before_us: int | None = None) -> Stamp:
    return Stamp(
        count=batch.count,
        max_before_us=before_us,
        max_after_us=None,
        ticks=0,
        received_at_us=batch.received_at_us,
        ids=stamp_ids(batch),
    )


def sent(batch, *, before_us: int | None = None, traceparent: str | None = None) -> Messages:
    return to_messages(batch, stamp_of(batch, before_us=before_us), traceparent)


def received(messages: Messages, first_offset: int = 0) -> list[Message]:
    columns = zip(messages.keys, messages.values, messages.headers, strict=True)
    return [message(first_offset + n, value, headers, key) for n, (key, value, headers) in enumerate(columns)]


def message(offset: int, value: bytes, headers: Headers | None = None, key: bytes = b"") -> Message:
    return Message(
        topic="events", partition=0, offset=offset, key=key, value=value, headers=headers, timestamp=(1, NOON_US // 1000)
    )


def test_others_find_a_whole_event_in_a_message_and_its_attributes_in_headers() -> None:
    row = make_row(type="reading", source="probe-1", subject="room-4", data={"celsius": 21.5})
    batch = make_batch([row], times_us=[1_769_860_800_000_000])
    messages = sent(batch, traceparent=TRACE)
    (value,) = messages.values
    event = msgspec.json.decode(value)
    assert event["id"] == batch.ids[0]
    assert event["timestamp"] == "2026-01-31T12:00:00.000000Z"
    assert (event["type"], event["data"]) == ("reading", {"celsius": 21.5})
    assert messages.keys == [b"probe-1"]
    assert {name: text for name, text in messages.headers[0] if not name.startswith("weft")} == {
        "ce_specversion": b"1.0",
        "ce_id": batch.ids[0].encode(),
        "ce_source": b"probe-1",
        "ce_type": b"reading",
        "ce_subject": b"room-4",
        "ce_time": b"2026-01-31T12:00:00.000000Z",
        "content-type": b"application/json",
        "traceparent": TRACE.encode(),
    }


def test_a_value_that_says_its_id_and_time_is_sent_as_it_is() -> None:
    row = make_row(id='an "id"', time="2026-01-31T12:00:00Z")
    batch = make_batch([row])
    assert sent(batch).values == [batch.rows]


def test_a_batch_comes_back_as_it_went() -> None:
    rows = [make_row(n, id=f"id-{n}" if n % 2 else None, timestamp="2026-01-31T12:00:00Z" if n % 3 else None) for n in range(9)]
    batch = make_batch(rows)
    (found,) = Assembler("events", 0).add(received(sent(batch, before_us=7), 100))
    assert (found.rows, list(found.ids), found.times_us.tolist()) == (batch.rows, list(batch.ids), batch.times_us.tolist())
    assert (found.first_offset, found.max_time_before_us) == (100, 7)


def test_parts_of_an_append_come_back_as_parts_and_each_event_once() -> None:
    batch = make_batch(10)
    messages = received(sent(batch))
    assembler = Assembler("events", 0)
    assert assembler.add(messages[:4]) == []
    (first,) = assembler.rest()
    (second,) = assembler.add(messages[4:])
    assert (first.first_offset, first.count, second.first_offset, second.count) == (0, 4, 4, 6)
    assert [*first.ids, *second.ids] == list(batch.ids)


def test_messages_of_others_between_those_of_an_append_split_it() -> None:
    messages = received(sent(make_batch(4)))
    between = message(2, b'{"type":"t","source":"s","id":"theirs"}')
    later = [message(3 + n, m.value() or b"", list(m.headers() or [])) for n, m in enumerate(messages[2:])]
    batches = Assembler("events", 0).add([*messages[:2], between, *later])
    assert [(batch.first_offset, batch.count) for batch in batches] == [(0, 2), (2, 1), (3, 2)]


def test_an_event_that_others_wrote_is_read_with_its_own_id_and_time() -> None:
    value = b'{"type":"t","source":"s","id":"theirs","timestamp":"1970-01-01T00:00:01Z"}'
    (batch,) = Assembler("events", 0).add([message(5, value)])
    assert (batch.ids, batch.times_us.tolist(), batch.received_at_us.tolist()) == (["theirs"], [1_000_000], [NOON_US])
    assert batch.columns.num_rows == 1


@pytest.mark.parametrize("value", [b"", b"not JSON", b"[]", b'{"type":"t"}', b'{"type":"t","source":"s","time":"then"}'])
def test_what_is_no_event_is_a_batch_of_its_own(value: bytes) -> None:
    good = b'{"type":"t","source":"s"}'
    batches = Assembler("events", 0).add([message(5, good), message(6, value), message(7, good)])
    assert [(batch.first_offset, batch.count) for batch in batches] == [(5, 1), (6, 1), (7, 1)]
    assert batches[1].ids == ["events/0/6"]


def test_a_tick_comes_back_with_its_time() -> None:
    stamp = Stamp(count=0, max_before_us=5, max_after_us=9, ticks=2, received_at_us=NOON_US)
    (tick,) = Assembler("events", 0).add([message(3, b"", tick_headers(stamp, 9))])
    assert (tick.tick_us, tick.count, tick.next_offset, tick.max_time_before_us) == (9, 0, 4, 5)


def test_a_tick_says_its_time_to_others_too() -> None:
    stamp = Stamp(count=0, max_before_us=None, max_after_us=None, ticks=0, received_at_us=NOON_US)

    assert dict(tick_headers(stamp, NOON_US + 1))["ce_time"] == b"2026-05-28T20:26:40.000001Z"
    assert "ce_time" not in dict(tick_headers(stamp, 2**61))


def test_who_knows_no_struct_finds_when_an_event_was_received() -> None:
    packed = stamp_of(make_batch(1)).pack()

    assert len(packed) == STAMP_BYTES
    assert int.from_bytes(packed[RECEIVED_AT : RECEIVED_AT + 8], "little", signed=True) == NOON_US


def test_a_stamp_of_a_later_version_is_not_misread() -> None:
    assert unpack_stamp(b"W2" + stamp_of(make_batch(1)).pack()[2:]) is None
    assert unpack_stamp(b"") is None


@pytest.mark.parametrize(
    ("url", "bootstrap"),
    [
        ("kafka://one:9092/", "one:9092"),
        ("kafka://one,two:9093", "one:9092,two:9093"),
        ("kafka://me:se%40cret@one/?prefix=lab.", "one:9092"),
    ],
)
def test_an_address_names_the_brokers(url: str, bootstrap: str) -> None:
    assert parse_address(url, KafkaSettings()).bootstrap == bootstrap


def test_an_address_carries_options_and_a_login() -> None:
    address = parse_address("kafka://me:se%40cret@one/?prefix=lab.&partitions=3", KafkaSettings(partitions=5, linger_s=0.5))
    assert (address.user, address.password) == ("me", "se@cret")
    assert (address.settings.prefix, address.settings.partitions, address.settings.linger_s) == ("lab.", 3, 0.5)
    assert "cret" not in str(address)


@pytest.mark.parametrize(
    "url",
    ["kafka://", "kafka:///folder", "kafka://one/topic", "kafka://one/?prefx=lab.", "kafka://me:secret@one/?partitions=no"],
)
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_address(url, KafkaSettings())
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("topic", "days"),
    [
        ("device.audio.raw", 7),
        ("device.image.camera.raw", 15),
        ("device.sensor.gps.raw", 30),
        ("device.sensor.heartrate.raw", 60),
        ("device.health.steps.raw", 60),
        ("device.metadata.raw", 90),
        ("external.calendar.events.raw", 365),
        ("events", 7),
        ("device.sensors", 7),
    ],
)
def test_topics_keep_events_as_long_as_their_names_say(topic: str, days: float) -> None:
    assert retention_s(topic, KafkaSettings()) == days * DAY_S
    assert topic_config(topic, KafkaSettings())["retention.ms"] == str(int(days * DAY_S * 1000))


def test_a_topic_may_be_kept_for_ever() -> None:
    settings = KafkaSettings(retention_by_topic_s={"audit": None}, min_in_sync_replicas=2)
    assert topic_config("audit.ledger", settings)["retention.ms"] == "-1"
    assert topic_config("audit.ledger", settings)["min.insync.replicas"] == "2"


def test_passwords_stand_where_they_are_never_shown() -> None:
    with pytest.raises(ValueError, match="client_secrets"):
        KafkaSettings(client={"ssl.key.password": "hunter2"})
    settings = KafkaSettings.model_validate({"client_secrets": {"ssl.key.password": "hunter2"}})
    assert "hunter2" not in repr(settings)
    kept = parse_address("kafka://one/?partitions=3", settings).settings.client_secrets
    assert kept["ssl.key.password"].get_secret_value() == "hunter2"
