"""CloudEvents 1.0: their attributes to ours (docs/decisions/0002-event-and-cloudevents.md has the map; core has the way back).

`id`, `source`, `type`, `subject` and `time` are the same nouns. `data` of ours is an object: where theirs is something else it
stands under one key, and `metadata.cloudevents.form` says so, so that it comes out again as it went in. Extensions are kept in
`metadata`; those that are nouns of ours (`correlationid`, `userid`, `sessionid`, `severity`, `topic`) are those nouns too.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from weft.core.cloudevents import FORM, NOUN_OF, REST, SPEC_VERSION
from weft.core.errors import Invalid, Malformed
from weft.core.event import SEVERITIES

HEADER: Final = b"ce-"

_REQUIRED: Final = ("specversion", "id", "source", "type")
_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_JSON: Final = re.compile(r"\s*[^/;]+/(?:[^;]+\+)?json\s*(?:;|$)", re.IGNORECASE)

_ATTRIBUTES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SCALAR: Final = msgspec.json.Decoder(str | int | float | bool | None)
_encode: Final = msgspec.json.encode


def read_structured(piece: bytes | msgspec.Raw) -> bytes:
    """The JSON of our event for one structured CloudEvent. Raises Invalid or Malformed."""
    try:
        attributes = _ATTRIBUTES.decode(_as_text(piece))
    except msgspec.ValidationError:
        raise Invalid("a CloudEvent is a JSON object") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise Malformed(f"the CloudEvent is not JSON: {unreadable}") from unreadable
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    if data is not None and encoded is not None:
        raise Invalid("a CloudEvent has data or data_base64, not both", field="data_base64")
    plain = {name: _scalar(name, value) for name, value in attributes.items()}
    if encoded is not None:
        return _row(plain, _base64_data(encoded), "base64")
    if data is None:
        return _row(plain, b"{}", None)
    value = bytes(data)
    return _row(plain, value, None) if value.startswith(b"{") else _row(plain, b'{"value":%b}' % value, "value")


def read_binary(headers: Mapping[bytes, bytes], body: bytes) -> bytes:
    """The JSON of our event for a CloudEvent whose attributes are `ce-` headers and whose data is the body."""
    plain: dict[str, Any] = {
        name[len(HEADER) :].decode("latin-1"): _header_value(name, value)
        for name, value in headers.items()
        if name.startswith(HEADER)
    }
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if content_type:
        plain["datacontenttype"] = content_type
    if not body:
        return _row(plain, b"{}", None)
    if not content_type or _JSON.match(content_type):
        data = _json_data(body)
        return _row(plain, data, None) if data.startswith(b"{") else _row(plain, b'{"value":%b}' % data, "value")
    if content_type.lower().startswith("text/"):
        try:
            return _row(plain, _encode({"value": body.decode()}), "value")
        except UnicodeDecodeError:
            pass  # a text in another encoding is kept as the bytes it is
    return _row(plain, _encode({"base64": base64.b64encode(body).decode()}), "base64")


def _row(plain: dict[str, Any], data: bytes, form: str | None) -> bytes:
    """The JSON of our event. Values are checked later, like those of any event."""
    for name in _REQUIRED:
        if plain.get(name) in (None, ""):
            raise Invalid(f"a CloudEvent needs {name}", field=name)
    if plain["specversion"] != SPEC_VERSION:
        raise Invalid(
            f"CloudEvents of version '{plain['specversion']}' are not known here",
            field="specversion",
            allowed_values=[SPEC_VERSION],
        )
    row: dict[str, Any] = {"type": plain["type"], "source": plain["source"], "id": plain["id"]}
    metadata: dict[str, Any] = {}
    for name, value in plain.items():
        if value is None or name in _REQUIRED:
            continue
        if not _NAME.fullmatch(name):
            raise Invalid(f"'{name[:64]}' cannot name an attribute: only a-z and 0-9 are allowed", field=name[:64])
        _place(name, value, row, metadata)
    if REST in plain:
        metadata |= _object_in(REST, plain[REST])
    if form is not None:
        metadata[FORM] = {"form": form}
    row["data"] = msgspec.Raw(data)
    if metadata:
        row["metadata"] = metadata
    return _encode(row)


def _place(name: str, value: Any, row: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Put one optional attribute or extension where it belongs."""
    if name in ("subject", "time", "topic"):
        row[name] = value
    elif name == REST:
        pass  # what it holds goes in last
    elif name == "tags" and (tags := _list_in(value)) is not None:
        row["tags"] = tags
    elif name == "severity" and value in SEVERITIES:
        row["severity"] = value
    else:
        if name in NOUN_OF:
            row[NOUN_OF[name]] = value
        metadata[name] = value


def _object_in(name: str, value: Any) -> dict[str, Any]:
    try:
        return msgspec.json.decode(str(value), type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Invalid(f"{name} is a JSON object written as a text", field=name) from None


def _list_in(value: Any) -> list[str] | None:
    try:
        return msgspec.json.decode(str(value), type=list[str])
    except msgspec.MsgspecError:
        return None


def _as_text(piece: bytes | msgspec.Raw) -> bytes:
    """The bytes of a text. Raises UnicodeDecodeError where they are none."""
    text = bytes(piece)
    text.decode()
    return text


def _scalar(name: str, value: msgspec.Raw) -> Any:
    try:
        return _SCALAR.decode(value)
    except msgspec.MsgspecError:
        raise Invalid(f"the attribute '{name[:64]}' is a text, a number or a truth value", field=name[:64]) from None


def _base64_data(value: msgspec.Raw) -> bytes:
    text = _SCALAR.decode(value) if bytes(value).startswith(b'"') else None
    try:
        base64.b64decode(str(text).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        text = None
    if text is None:
        raise Invalid("data_base64 is a base64 text", field="data_base64")
    return _encode({"base64": text})


def _json_data(body: bytes) -> bytes:
    try:
        msgspec.json.Decoder(msgspec.Raw).decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise Malformed(f"the data is not JSON: {unreadable}") from unreadable
    return body.strip(b" \t\r\n")


def _header_value(name: bytes, value: bytes) -> str:
    """One round of percent-decoding, after quotes around the value are taken away."""
    text = value.decode("latin-1").strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        shown = name.decode("latin-1")
        raise Invalid(f"the header {shown} does not hold UTF-8", field=shown) from None
