"""From a body to events: what is taken, what is refused and how it is said, and that the bytes stay as they came."""

import json
from typing import Any

import msgspec
import pytest

from weft.core.errors import Invalid, Malformed, Refused, TooLarge
from weft.ingest.decode import Decoder
from weft.testing.clock import ManualClock

EVENT = {"type": "web.click", "source": "web-app", "data": {"page": "/start"}}


def body_of(event: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({**event, **more}).encode()


def batch_of(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{**EVENT, "data": {"n": number}, **more} for number in range(count)]


def read_all(decoder: Decoder, events: list[dict[str, Any]], form: str) -> Any:
    if form == "lines":
        return decoder.read_lines(b"\n".join(json.dumps(event).encode() for event in events))
    if form == "list":
        return decoder.read_batch(json.dumps(events).encode())
    return decoder.read_batch(json.dumps({"events": events}).encode())


FORMS = pytest.mark.parametrize("form", ["envelope", "list", "lines"])


@FORMS
@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_good_batch_keeps_the_bytes_that_came(decoder: Decoder, form: str, count: int) -> None:
    events = batch_of(count)
    intake = read_all(decoder, events, form)
    (share,) = intake.shares
    assert (intake.count, intake.rejections, share.topic) == (count, (), "events")
    assert json.loads(b"[" + share.rows + b"]") == events
    assert b'"data": {"n": 0}' in share.rows  # the client's own spacing
    assert list(share.indices) == list(range(count))


@FORMS
def test_of_a_batch_with_bad_events_the_good_ones_are_kept_and_the_bad_ones_named(decoder: Decoder, form: str) -> None:
    events = batch_of(30)
    events[3] = {"source": "web-app"}
    events[17] = {**EVENT, "severity": "fatal"}
    intake = read_all(decoder, events, form)
    assert intake.count == 30
    assert [(bad.index, bad.field) for bad in intake.rejections] == [(3, "type"), (17, "severity")]
    assert intake.rejections[0].reason == "type is required"
    assert intake.rejections[1].details["allowed_values"] == ["low", "medium", "high", "critical"]
    (share,) = intake.shares
    assert list(share.indices) == [index for index in range(30) if index not in (3, 17)]
    assert [row["data"]["n"] for row in json.loads(b"[" + share.rows + b"]")] == list(share.indices)


BAD: list[tuple[dict[str, Any], str | None, str]] = [
    ({"type": "no.such"}, "type", "no event type is called 'no.such'"),
    ({"type": "Web.Click"}, "type", "no event type"),
    ({"type": "weft.dead_letter"}, "type", "written by Weft itself"),
    ({"type": 3}, "type", "Expected str, got int"),
    ({"source": ""}, "source", "length >= 1"),
    ({"source": None}, "source", "got null"),
    ({"source": "x" * 1025}, "source", "length <= 1024"),
    ({"source": "a\0b"}, "source", "NUL"),
    ({"id": ""}, "id", "length >= 1"),
    ({"id": 7}, "id", "Expected str | null, got int"),
    ({"tags": ["a", 1]}, "tags[1]", "Expected str, got int"),
    ({"tags": ["\0"]}, "tags", "NUL"),
    ({"tags": [str(number) for number in range(65)]}, "tags", "length <= 64"),
    ({"severity": "HIGH"}, "severity", "Invalid enum value 'HIGH'"),
    ({"timestamp": "yesterday"}, "timestamp", "not an ISO 8601 time"),
    ({"time": "2026-02-30T00:00:00Z"}, "time", "not an ISO 8601 time"),
    ({"time": "2026-01-01T00:00:00"}, "time", "no UTC offset"),
    ({"time": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z"}, "timestamp", "the same thing"),
    ({"data": [1]}, "data", "is a JSON object"),
    ({"data": None}, "data", "is a JSON object"),
    ({"data": "text"}, "data", "is a JSON object"),
    ({"metadata": 1}, "metadata", "is a JSON object"),
    ({"topic": "elsewhere"}, "topic", "no topic is called 'elsewhere'"),
    ({"topic": "No Topic"}, "topic", "matching regex"),
    ({"soruce": "typo"}, "soruce", "'soruce' is no field of an event"),
]


@pytest.mark.contract("SF-48")
@pytest.mark.contract("SF-51")
@pytest.mark.contract("SF-D17")
@pytest.mark.parametrize(("change", "field", "reason"), BAD, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("form", ["one", "envelope", "lines"])
def test_a_bad_event_is_refused_with_field_and_reason(
    decoder: Decoder, change: dict[str, Any], field: str, reason: str, form: str
) -> None:
    event = {**EVENT, **change}
    if form == "one":
        with pytest.raises(Invalid) as refused:
            decoder.read_one(json.dumps(event).encode())
        found_field, message = refused.value.details.get("field"), refused.value.message
    else:
        intake = read_all(decoder, [*batch_of(13), event], form)
        (rejection,) = intake.rejections
        assert rejection.index == 13
        found_field, message = rejection.field, rejection.reason
    assert found_field == field
    assert reason in message


@pytest.mark.contract("SF-D15")
def test_an_event_time_may_lie_five_minutes_ahead_and_no_more(decoder: Decoder, clock: ManualClock) -> None:
    clock.jump(-clock.now_us() / 1e6 + 1_770_000_000)  # 2026-02-02T02:40:00Z
    assert decoder.read_one(body_of(EVENT, time="2026-02-02T02:45:00Z")).time_us == clock.now_us() + 300_000_000
    with pytest.raises(Invalid, match="301 s ahead") as refused:
        decoder.read_one(body_of(EVENT, time="2026-02-02T02:45:01Z"))
    assert refused.value.details == {"field": "time", "limit": 300, "unit": "s"}
    late = batch_of(20, timestamp="2026-02-02T02:40:00Z")
    late[5]["timestamp"] = "2026-02-02T02:45:01Z"
    intake = read_all(decoder, late, "list")
    assert [bad.index for bad in intake.rejections] == [5]


def test_an_absent_time_is_the_moment_of_arrival(decoder: Decoder, clock: ManualClock) -> None:
    events = batch_of(20)
    events[4]["timestamp"] = "2026-01-01T00:00:00Z"
    (share,) = read_all(decoder, events, "list").shares
    assert share.times_us[3] == clock.now_us()
    assert share.times_us[4] == 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"type":"custom"', "truncated|expected"),
        (b'{"type":"custom","source":"s"} x', "trailing"),
        (b'{"typo":"custom",', "truncated|expected|trailing|end"),
        (b'{"type":"custom","source":"s","data":{"a":01}}', "invalid number"),
        (b'{"type":"custom","source":"s","data":{"a":NaN}}', "invalid character"),
        (b'{"type":"custom","source":"s","data":{"a":Infinity}}', "invalid character"),
        (b'{"type":"custom","source":"s","data":{"a":"\\ud800"}}', "not JSON"),
        (b'{"type":"custom","source":"\\udc00"}', "not JSON"),
        (b'{"type":"custom","source":"s","data":{"a":"\x00"}}', "invalid character"),
        (b'{"type":"custom","source":"s","data":{"a":"\xff"}}', "not UTF-8"),
        (b'{"type":"custom","source":"\xed\xa0\x80"}', "not UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.contract("SF-D34")
def test_what_is_no_json_is_malformed(decoder: Decoder, body: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        decoder.read_one(body)
    with pytest.raises(Malformed):
        decoder.read_batch(b"[" + body + b"]" if body else b"")


def test_a_line_that_is_no_json_costs_only_itself(decoder: Decoder) -> None:
    good = body_of(EVENT)
    intake = decoder.read_lines(b"\n".join([good, b"{", b'{"type":"custom","source":"\xff"}', good]))
    assert [(bad.index, bad.field) for bad in intake.rejections] == [(1, None), (2, None)]
    assert intake.shares[0].indices == [0, 3]


@pytest.mark.parametrize("text", [b"%b\n%b\n", b"\n\n%b\r\n%b\r\n\r\n", b"  %b\n   \n%b  ", b"%b\r\n%b"])
def test_blank_lines_and_windows_line_ends_do_not_count(decoder: Decoder, text: bytes) -> None:
    intake = decoder.read_lines(text % (body_of(EVENT), body_of(EVENT)))
    assert (intake.count, list(intake.rejections)) == (2, [])
    assert json.loads(b"[" + intake.shares[0].rows + b"]") == [EVENT, EVENT]


def test_one_event_over_several_lines_is_not_ndjson(decoder: Decoder) -> None:
    intake = decoder.read_lines(json.dumps(EVENT, indent=1).encode())
    assert intake.shares == []
    assert len(intake.rejections) == intake.count > 1


def test_a_byte_order_mark_is_passed_over(decoder: Decoder) -> None:
    mark = b"\xef\xbb\xbf"
    assert decoder.read_one(mark + body_of(EVENT)).text == body_of(EVENT)
    assert decoder.read_batch(mark + json.dumps([EVENT]).encode()).count == 1
    assert decoder.read_lines(mark + body_of(EVENT)).count == 1


def test_of_a_key_given_twice_the_last_value_counts(decoder: Decoder) -> None:
    body = b'{"type":"no.such","type":"custom","source":"s","data":{"a":1},"data":{"a":2}}'
    event = decoder.read_one(body).event
    assert event.type == "custom"
    assert bytes(event.data) == b'{"a":2}'
    with pytest.raises(Malformed):  # a list given twice would hide the first one
        decoder.read_batch(b'{"events":[%b],"events":[%b]' % (body, body))
    assert decoder.read_batch(b'{"events":[1],"events":[%b]}' % body).count == 1


@pytest.mark.parametrize("count", [1, 40])
def test_what_a_second_key_hides_is_bounded_all_the_same(decoder: Decoder, count: int) -> None:
    hidden = b'{"type":"custom","source":"s","data":' + b'{"a":' * 80 + b"1" + b"}" * 80 + b',"data":{}}'
    with pytest.raises(Invalid, match="nested deeper"):
        decoder.read_one(hidden)
    intake = decoder.read_batch(b"[" + b",".join([body_of(EVENT, tags=["t"])] * count + [hidden]) + b"]")
    assert [bad.index for bad in intake.rejections] == [count]


def test_nesting_ends_at_the_limit(decoder: Decoder) -> None:
    def nested(levels: int) -> bytes:
        return b'{"type":"custom","source":"s","data":' + b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1) + b"}"

    assert decoder.read_one(nested(64)).text == nested(64)
    with pytest.raises(Invalid, match="nested deeper than 64 levels"):
        decoder.read_one(nested(65))
    intake = decoder.read_batch(b"[" + b",".join([nested(64)] * 20 + [nested(65)]) + b"]")
    assert [bad.index for bad in intake.rejections] == [20]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_a_hundred_thousand_brackets_are_refused_without_harm(decoder: Decoder, opening: bytes, closed: bool) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = opening * 100_000 + (b"1" + closing * 100_000 if closed else b"")
    for body in (deep, b'{"type":"custom","source":"s","data":%b}' % deep, b'{"events":%b}' % deep, b"[%b]" % deep):
        for read in (decoder.read_one, decoder.read_batch, decoder.read_cloudevent, decoder.read_cloudevents):
            with pytest.raises(Refused):
                read(body)
        for text in (b'{"typo":%b}' % deep, b'{"type":%b}' % deep, b'{"events":[{"typo":%b}]}' % deep):
            with pytest.raises(Refused):
                decoder.read_one(text)
            with pytest.raises(Refused):
                decoder.read_batch(text)
        intake = decoder.read_lines(body)
        assert intake.shares == []


def test_numbers_beyond_a_float_are_refused(decoder: Decoder) -> None:
    events = batch_of(20)
    text = json.dumps(events).replace('"n": 7}', '"n": 1e999}').replace('"n": 9}', '"n": -' + "9" * 400 + "}")
    intake = decoder.read_batch(text.encode())
    assert [(bad.index, bad.field) for bad in intake.rejections] == [(7, "data"), (9, "data")]
    assert "1e999, which is beyond a 64-bit float" in intake.rejections[0].reason


def test_limits_are_told_with_their_unit(decoder_of: Any) -> None:
    decoder = decoder_of(events_per_batch=10, event_bytes=300)
    with pytest.raises(TooLarge) as refused:
        decoder.read_batch(json.dumps(batch_of(11)).encode())
    assert refused.value.details == {"limit": 10, "unit": "events"}
    with pytest.raises(TooLarge, match="a batch may hold 10 events, this one has 11"):
        decoder.read_lines(b"\n".join([body_of(EVENT)] * 11))
    with pytest.raises(TooLarge):
        decoder.read_lines(b"\n".join([b"x"] * 11))
    with pytest.raises(TooLarge, match="at most 300 bytes"):
        decoder.read_one(body_of(EVENT, subject="x" * 300))
    intake = decoder.read_batch(json.dumps([*batch_of(3), {**EVENT, "subject": "x" * 300}]).encode())
    assert [(bad.index, bad.details) for bad in intake.rejections] == [(3, {"limit": 300, "unit": "bytes"})]


def test_a_body_of_too_many_values_is_not_taken_apart(decoder: Decoder) -> None:
    with pytest.raises(TooLarge):
        decoder.read_batch(b"[" + b"0," * 1_000_000 + b"0]")


@pytest.mark.parametrize("body", [b'{"events":[]}', b"[]", b" [ ] "])
def test_a_batch_without_an_event_is_refused(decoder: Decoder, body: bytes) -> None:
    with pytest.raises(Invalid, match="no event"):
        decoder.read_batch(body)
    with pytest.raises(Invalid, match="no event"):
        decoder.read_lines(b" \n\n ")


@pytest.mark.parametrize("body", [b'{"event":[]}', b"3", b'"x"', b"{}", b'{"events":{}}', b'{"events":[],"more":1}', b"null"])
def test_what_is_no_batch_says_what_a_batch_is(decoder: Decoder, body: bytes) -> None:
    with pytest.raises(Invalid, match="batch is"):
        decoder.read_batch(body)


def test_events_of_several_topics_are_sorted_apart(decoder_of: Any) -> None:
    decoder = decoder_of(topics=("events", "lab"))
    events = batch_of(9)
    for number in (1, 4, 5):
        events[number]["topic"] = "lab"
    intake = decoder.read_batch(json.dumps(events).encode())
    shares = {share.topic: share for share in intake.shares}
    assert list(shares["lab"].indices) == [1, 4, 5]
    assert [row["data"]["n"] for row in json.loads(b"[" + shares["lab"].rows + b"]")] == [1, 4, 5]
    assert list(shares["events"].indices) == [0, 2, 3, 6, 7, 8]
    (whole,) = decoder.read_batch(json.dumps(batch_of(5, topic="lab")).encode()).shares
    assert whole.topic == "lab"


def test_other_topics_and_types_are_taken_where_the_settings_say_so(decoder_of: Any) -> None:
    decoder = decoder_of(other_topics=True, other_event_types=True)
    events = batch_of(20, topic="lab.7", type="org.lab.reading")
    (share,) = decoder.read_batch(json.dumps(events).encode()).shares
    assert share.topic == "lab.7"
    events[3]["type"] = "weft.dead_letter"
    assert [bad.index for bad in decoder.read_batch(json.dumps(events).encode()).rejections] == [3]


@pytest.mark.contract("SF-148")
@pytest.mark.contract("SF-150")
def test_a_metric_has_a_name_and_a_number(decoder: Decoder) -> None:
    metric = {"type": "metric", "source": "s", "data": {"name": "t", "type": "gauge", "value": 3.5, "tags": {"room": "1"}}}
    assert decoder.read_one(json.dumps(metric).encode()).event.type == "metric"
    metric["data"] = {"name": "t", "value": "high"}
    with pytest.raises(Invalid) as refused:
        decoder.read_one(json.dumps(metric).encode())
    assert refused.value.details["field"] == "data.value"
    intake = decoder.read_batch(json.dumps([*batch_of(15), metric]).encode())
    assert [(bad.index, bad.field) for bad in intake.rejections] == [(15, "data.value")]


def test_a_type_of_the_configuration_brings_its_schema(decoder_of: Any, tmp_path: Any) -> None:
    schema = tmp_path / "reading.json"
    schema.write_text(json.dumps({"type": "object", "required": ["t"], "properties": {"t": {"type": "number"}}}))
    decoder = decoder_of(event_types={"lab.reading": schema, "lab.note": None})
    decoder.read_one(json.dumps({"type": "lab.note", "source": "s", "data": {"any": 1}}).encode())
    with pytest.raises(Invalid, match="required"):
        decoder.read_one(json.dumps({"type": "lab.reading", "source": "s"}).encode())
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(Invalid, match="cannot be read"):
        decoder_of(event_types={"x": tmp_path / "broken.json"})
    (tmp_path / "wrong.json").write_text('{"type":"nothing"}')
    with pytest.raises(Invalid, match="schema of the event type 'x' is wrong"):
        decoder_of(event_types={"x": tmp_path / "wrong.json"})


@pytest.mark.contract("SF-50")
def test_data_is_kept_to_the_byte(decoder: Decoder) -> None:
    data = b'{ "a" : 1.0, "b":1e2,"c":"\\u00fc\xc3\xbc","a":{"x":[ ]} }'
    checked = decoder.read_one(b'{"type":"custom","source":"s","data":%b}' % data)
    assert bytes(msgspec.json.decode(checked.text, type=dict[str, msgspec.Raw])["data"]) == data
