"""Topics of Kafka as tables: how Weft's messages are read, and how results become events that everybody reads as such.

A message is the JSON of an event; a tick has no value. When it happened stands in a header; when Weft took it in, in the stamp
(see weft.log.kafka.message), as a whole number that is taken apart byte by byte, for want of a word in SQL. What others wrote
has neither.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from weft.core.times import SECOND_US
from weft.core.watermark import MAX_AHEAD_US
from weft.log.kafka.message import RECEIVED_AT, STAMP, STAMP_BYTES
from weft.stream.flink.log_order import ENTRY, Reading, declared_time, view
from weft.stream.flink.text import integer, name, text

_BYTES: Final = text("".join(map(chr, range(256))))
_WRITTEN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
_SAID: Final = (
    "COALESCE(CAST(headers['ce_time'] AS STRING), JSON_VALUE(`row`, 'lax $.time'), JSON_VALUE(`row`, 'lax $.timestamp'))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaTables:
    """Where the topics are. `idle_s`: after so long a partition without messages holds windows back no longer."""

    brokers: str
    prefix: str = ""
    idle_s: float = 60.0
    group: str = "weft-flink"
    client: Mapping[str, str] = field(default_factory=dict[str, str])

    def source(self, reading: Reading) -> list[str]:
        """What declares the messages of a topic as one reading has them."""
        options = {
            **self._options(reading.topic),
            "properties.group.id": self.group,
            "scan.startup.mode": "earliest-offset" if reading.from_us is None else "timestamp",
            **({} if reading.from_us is None else {"scan.startup.timestamp-millis": str(reading.from_us // 1000)}),
            "scan.watermark.idle-timeout": f"{math.ceil(self.idle_s)} s",
            "format": "raw",
        }
        columns = (
            "`row` STRING",
            "`partition` INT NOT NULL METADATA VIRTUAL",
            "`offset` BIGINT NOT NULL METADATA VIRTUAL",
            "headers MAP<STRING NOT NULL, BYTES NOT NULL> NOT NULL METADATA VIRTUAL",
            "written_at TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
        )
        written = "".join(f"  {column},\n" for column in columns)
        declared = declared_time(reading, time_us=_time_us(), counted_us=_counted_us())
        messages = name(f"{reading.name} messages")
        stamped = f"(SELECT *, {_header(STAMP)} AS stamp, {_BYTES} AS by_number FROM {messages})"
        entries = ENTRY.replace("received_us", f"{_received_us()} AS received_us")
        return [
            f"CREATE TEMPORARY TABLE {messages} (\n{written}{declared}){_with(options)}",
            view(self._entries(reading), f"SELECT {entries}, passed", stamped),
        ]

    def table(self, reading: Reading) -> str:
        """The view over a topic's messages as a reading has them."""
        return name(self._entries(reading))

    @staticmethod
    def _entries(reading: Reading) -> str:
        return f"{reading.name} entries"

    def sink(self, topic: str) -> str:
        """A table that writes events to a topic: the source of the event is the key, as in everything Weft writes."""
        options = {
            **self._options(topic),
            "key.format": "raw",
            "key.fields": "source",
            "value.format": "raw",
            "value.fields-include": "EXCEPT_KEY",
        }
        return f"CREATE TEMPORARY TABLE {name(topic)} (source STRING, `row` STRING){_with(options)}"

    def _options(self, topic: str) -> dict[str, str]:
        client = {f"properties.{option}": value for option, value in self.client.items()}
        return {"connector": "kafka", "topic": self.prefix + topic, "properties.bootstrap.servers": self.brokers, **client}


def _with(options: Mapping[str, str]) -> str:
    return " WITH (\n" + ",\n".join(f"  {text(option)} = {text(value)}" for option, value in options.items()) + "\n)"


def _header(header: str) -> str:
    """A header, each byte as the character of that number."""
    return f"DECODE(headers[{text(header)}], 'ISO-8859-1')"


def _received_us() -> str:
    """When Weft took an event in, from its stamp; of what others wrote when Kafka did, to the millisecond.

    Eight bytes are a whole number, the least significant first; the last one carries the sign.
    """
    digits = (
        f"CAST(INSTR(by_number, SUBSTRING(stamp FROM {RECEIVED_AT + 1 + byte} FOR 1)) - 1 AS BIGINT)" for byte in range(8)
    )
    number = " + ".join(f"{digit} * {integer(256**byte)}" for byte, digit in enumerate(digits))
    return f"CASE WHEN CHAR_LENGTH(stamp) = {STAMP_BYTES} THEN {number} ELSE {_written_us()} END"


def _written_us() -> str:
    """When Kafka says a message was written, to the millisecond."""
    milliseconds = "EXTRACT(MILLISECOND FROM written_at)"
    return f"(EXTRACT(EPOCH FROM written_at) * {integer(SECOND_US)} + {milliseconds} * {integer(1000)})"


def _time_us() -> str:
    """When it happened: as a header of Weft's says; of what others wrote as it says itself, else when Kafka took it in."""
    return f"CASE WHEN REGEXP({_SAID}, {text(_WRITTEN)}) THEN {_parsed_us(_SAID)} ELSE {_written_us()} END"


def _counted_us() -> str:
    """The time of an event where it moves the watermark. Flink compiles it for every reading, so it is as short as can be.

    Kafka knows when Weft took an event in to the millisecond below: who is within that of being too far ahead moves no
    watermark here, so that windows close no earlier than they should. A text that says no time is taken for 1970.
    """
    happened = f"COALESCE({_parsed_us(_SAID)}, {_written_us()})"
    return f"CASE WHEN {happened} <= {_written_us()} + {integer(MAX_AHEAD_US)} THEN {happened} END"


def _parsed_us(said: str) -> str:
    """The microseconds of an RFC 3339 text."""
    whole = f"UNIX_TIMESTAMP(REGEXP_REPLACE({said}, '[.][0-9]+', ''), 'yyyy-MM-dd''T''HH:mm:ssXXX') * {integer(SECOND_US)}"
    fraction = f"CAST(RPAD(REGEXP_EXTRACT({said}, '[.]([0-9]{{1,6}})', 1), 6, '0') AS BIGINT)"
    return f"{whole} + COALESCE({fraction}, {integer(0)})"
