"""CloudEvents 1.0 come in by all three modes, and go out as they came in."""

import base64
import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.core import times
from weft.core.cloudevents import to_cloudevent
from weft.core.errors import Invalid, Malformed, WeftError
from weft.core.event import Event, EventRow
from weft.ingest.cloudevents import read_binary, read_structured
from weft.ingest.decode import Decoder

CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-9",
    "source": "/lab/rig2",
    "type": "custom",
    "time": "2025-06-15T12:00:00Z",
    "subject": "temp",
    "datacontenttype": "application/json",
    "dataschema": "https://example.org/temp.json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "correlationid": "c-1",
    "userid": "u-1",
    "sequence": 7,
    "sampled": True,
    "data": {"t": 4.2},
}


def row_of(cloud: dict[str, Any]) -> dict[str, Any]:
    return json.loads(read_structured(json.dumps(cloud).encode()))


def event_of(row: dict[str, Any]) -> Event:
    """The event as it would be read back."""
    decoded = msgspec.json.decode(json.dumps(row), type=EventRow)
    return Event(
        id=row["id"],
        type=row["type"],
        source=row["source"],
        topic="events",
        time_us=times.parse(row["time"]) if "time" in row else 0,
        received_at_us=0,
        subject=row.get("subject"),
        severity=decoded.severity,
        user_id=row.get("user_id"),
        session_id=row.get("session_id"),
        correlation_id=row.get("correlation_id"),
        tags=decoded.tags,
        data=row["data"],
        metadata=row.get("metadata", {}),
    )


def test_every_attribute_finds_its_place() -> None:
    assert row_of(CLOUD) == {
        "type": "custom",
        "source": "/lab/rig2",
        "id": "e-9",
        "subject": "temp",
        "time": "2025-06-15T12:00:00Z",
        "user_id": "u-1",
        "correlation_id": "c-1",
        "data": {"t": 4.2},
        "metadata": {
            "datacontenttype": "application/json",
            "dataschema": "https://example.org/temp.json",
            "traceparent": CLOUD["traceparent"],
            "correlationid": "c-1",
            "userid": "u-1",
            "sequence": 7,
            "sampled": True,
        },
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"data": [1, 2]}, {"value": [1, 2]}),
        ({"data": "text"}, {"value": "text"}),
        ({"data": 4.5}, {"value": 4.5}),
        ({"data": None}, {"value": None}),
        ({"data": {"value": 1}}, {"value": 1}),
        ({"data": {"base64": "x"}}, {"base64": "x"}),
        ({"data_base64": base64.b64encode(b"\x00\xff").decode()}, {"base64": "AP8="}),
        ({}, {}),
    ],
)
def test_data_of_every_kind_goes_out_as_it_came_in(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    cloud = {name: value for name, value in CLOUD.items() if name != "data"} | sent
    row = row_of(cloud)
    assert row["data"] == kept
    told = to_cloudevent(event_of(row))
    assert {name: told[name] for name in told if name.startswith("data") and name in sent} == sent
    assert {name: value for name, value in told.items() if not name.startswith("data_") and name != "data"} == {
        name: value for name, value in CLOUD.items() if name != "data"
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"type": None}, "type"),
        ({"Bad-Name": 1}, "Bad-Name"),
        ({"extension": {"a": 1}}, "extension"),
        ({"data_base64": "AP8="}, "data_base64"),
        ({"data": None, "data_base64": "AP8="}, "data_base64"),
        ({"weftmetadata": "{"}, "weftmetadata"),
        ({"id": 7}, "id"),
        ({"time": "noon"}, "time"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(decoder: Decoder, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        decoder.read_cloudevent(json.dumps({**CLOUD, **change}).encode())
    assert refused.value.details["field"] == field


def test_bad_base64_is_refused(decoder: Decoder) -> None:
    for text in ('"###"', "7", '"é"', "null"):
        body = f'{{"specversion":"1.0","id":"1","source":"s","type":"custom","data_base64":{text}}}'
        with pytest.raises(Invalid, match="base64"):
            decoder.read_cloudevent(body.encode())


def test_binary_mode_reads_headers_and_body(decoder: Decoder) -> None:
    headers = {
        b"ce-specversion": b"1.0",
        b"ce-id": b"e-9",
        b"ce-source": b"/lab/rig%20%C3%BC",
        b"ce-type": b'"custom"',
        b"ce-time": b"2025-06-15T12:00:00Z",
        b"ce-traceparent": b"00-0af7",
        b"content-type": b"application/json; charset=utf-8",
        b"host": b"x",
    }
    checked = decoder.read_cloudevent_headers(headers, b' {"t": 4.2} ')
    assert checked.event.source == "/lab/rig ü"
    assert bytes(checked.event.data) == b'{"t": 4.2}'
    assert json.loads(bytes(checked.event.metadata)) == {
        "datacontenttype": "application/json; charset=utf-8",
        "traceparent": "00-0af7",
    }


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        (b"text/plain", "grün".encode(), {"value": "grün"}),
        (
            b"text/plain; charset=latin-1",
            "grün".encode("latin-1"),
            {"base64": base64.b64encode("grün".encode("latin-1")).decode()},
        ),
        (b"application/octet-stream", b"\x00\x01", {"base64": "AAE="}),
        (b"application/vnd.lab+json", b"[1]", {"value": [1]}),
        (b"application/json", b"", {}),
        (b"", b'{"a":1}', {"a": 1}),
    ],
)
def test_binary_mode_keeps_any_body(content_type: bytes, body: bytes, data: dict[str, Any]) -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"s", b"ce-type": b"custom"}
    if content_type:
        headers[b"content-type"] = content_type
    assert json.loads(read_binary(headers, body))["data"] == data


def test_binary_mode_refuses_what_it_cannot_read() -> None:
    headers = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"s", b"ce-type": b"custom"}
    with pytest.raises(Malformed, match="the data is not JSON"):
        read_binary({**headers, b"content-type": b"application/json"}, b"{")
    with pytest.raises(Invalid, match="ce-subject"):
        read_binary({**headers, b"ce-subject": b"%ff"}, b"")


def test_a_batch_may_be_empty_and_names_its_bad_events(decoder: Decoder) -> None:
    assert decoder.read_cloudevents(b"[]").count == 0
    events = [CLOUD, {**CLOUD, "specversion": "2"}, {**CLOUD, "id": "e-10"}, 7]
    intake = decoder.read_cloudevents(json.dumps(events).encode())
    assert [(bad.index, bad.field) for bad in intake.rejections] == [(1, "specversion"), (3, None)]
    assert [event.id for event in intake.shares[0].events] == ["e-9", "e-10"]
    for body in (b"{}", b"7", json.dumps(CLOUD).encode()):
        with pytest.raises(Invalid):
            decoder.read_cloudevents(body)


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
SCALARS = TEXTS | st.integers(-(2**53), 2**53) | st.booleans()
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    event_id=TEXTS,
    source=TEXTS,
    extensions=st.dictionaries(st.from_regex(r"ext[a-z0-9]{1,10}", fullmatch=True), SCALARS, max_size=4),
    data=JSONS,
)
def test_in_and_out_again_gives_the_same_event(event_id: str, source: str, extensions: dict[str, Any], data: Any) -> None:
    cloud = {"specversion": "1.0", "id": event_id, "source": source, "type": "custom", **extensions, "data": data}
    told = to_cloudevent(event_of(row_of(cloud)))
    told.pop("time")
    told.pop("datacontenttype", None)
    assert told == cloud


@given(
    metadata=st.dictionaries(TEXTS, JSONS, max_size=4),
    tags=st.lists(TEXTS, max_size=3),
    data=st.dictionaries(TEXTS, JSONS, max_size=3),
)
def test_out_and_in_again_keeps_everything(metadata: dict[str, Any], tags: list[str], data: dict[str, Any]) -> None:
    row: dict[str, Any] = {"type": "custom", "source": "s", "id": "1", "time": "2026-01-01T00:00:00Z", "severity": "high"}
    row |= {"user_id": "u", "session_id": "s", "correlation_id": "c", "tags": tags, "data": data, "metadata": metadata}
    event = event_of(row)
    back = event_of(row_of(to_cloudevent(event)))
    own = {"userid", "sessionid", "correlationid", "datacontenttype"}
    assert {name: value for name, value in back.metadata.items() if name not in own} == {
        name: value for name, value in metadata.items() if name not in own
    }
    assert {name: back.metadata.get(name) for name in own & metadata.keys()} == {
        name: metadata[name] for name in own & metadata.keys()
    }
    assert (back.tags, back.data, back.severity, back.user_id) == (event.tags, event.data, event.severity, event.user_id)


@given(st.binary(max_size=200) | JSONS.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_our_errors_comes_out_of_any_bytes(body: bytes) -> None:
    with suppress(WeftError):
        json.loads(read_structured(body))
    with suppress(WeftError):
        msgspec.json.decode(read_binary({b"ce-id": b"1", b"content-type": body[:20]}, body))
