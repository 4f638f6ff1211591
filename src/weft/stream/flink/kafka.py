"""Topics of Kafka as tables: how Weft's messages are read, and how results become events that everybody reads as such.

A message is the JSON of an event. What Weft knows about it stands in two headers (see weft.log.kafka.message): whole numbers in
them are taken apart byte by byte, for which SQL has no word. A tick has no value. What others wrote has no such headers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from weft.core.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from weft.log.kafka.message import PLACE, PLACE_BYTES, RECEIVED_AT, STAMP, STAMP_BYTES, TIME_AT
from weft.stream.flink.log_order import Reading, declared_time
from weft.stream.flink.text import integer, name, text

_BYTES: Final = text("".join(map(chr, range(256))))
_WRITTEN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaTables:
    """Where the topics are. `idle_s`: after so long a partition without messages holds windows back no longer."""

    brokers: str
    prefix: str = ""
    idle_s: float = 60.0
    group: str = "weft-flink"
    client: Mapping[str, str] = field(default_factory=dict[str, str])

    def source(self, reading: Reading) -> list[str]:
        """A table over a topic as one reading has it. Returns the statements; the table is `<name> messages`."""
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
        declared = declared_time(time_us=_time_us(), received_us=_received_us(), reading=reading)
        return [f"CREATE TEMPORARY TABLE {self.table(reading)} (\n{written}{declared}){_with(options)}"]

    @staticmethod
    def table(reading: Reading) -> str:
        """The table of a reading."""
        return name(f"{reading.name} messages")

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


def _int64(packed: str, at: int) -> str:
    """Eight bytes of a header as a whole number, the least significant first; the last one carries the sign."""
    digits = (f"CAST(INSTR({_BYTES}, SUBSTRING({packed} FROM {at + 1 + byte} FOR 1)) - 1 AS BIGINT)" for byte in range(8))
    return " + ".join(f"{digit} * {integer(256**byte)}" for byte, digit in enumerate(digits))


def _is_ours() -> str:
    lengths = ((STAMP, STAMP_BYTES), (PLACE, PLACE_BYTES))
    return " AND ".join(f"CHAR_LENGTH({_header(header)}) = {size}" for header, size in lengths)


def _received_us() -> str:
    """When Weft took an event in; of what others wrote when Kafka did, to the millisecond."""
    return f"CASE WHEN {_is_ours()} THEN {_int64(_header(STAMP), RECEIVED_AT)} ELSE {_written_us()} END"


def _written_us() -> str:
    milliseconds = "EXTRACT(MILLISECOND FROM written_at)"
    return f"(EXTRACT(EPOCH FROM written_at) * {integer(SECOND_US)} + {milliseconds} * {integer(1000)})"


def _time_us() -> str:
    """When it happened: as Weft read it; of what others wrote as it says itself, else when Kafka took it in."""
    said = "COALESCE(JSON_VALUE(`row`, 'lax $.time'), JSON_VALUE(`row`, 'lax $.timestamp'))"
    return (
        f"CASE WHEN {_is_ours()} THEN {_int64(_header(PLACE), TIME_AT)} ELSE COALESCE({parsed_us(said)}, {_written_us()}) END"
    )


def parsed_us(said: str) -> str:
    """The microseconds of an RFC 3339 text; null where it is none."""

    def part(first: int, size: int) -> str:
        return f"CAST(SUBSTRING({said} FROM {first} FOR {size}) AS BIGINT)"

    days = f"CAST(TIMESTAMPDIFF(DAY, DATE '1970-01-01', TRY_CAST(SUBSTRING({said} FROM 1 FOR 10) AS DATE)) AS BIGINT)"
    fraction = f"CAST(RPAD(SUBSTRING(REGEXP_EXTRACT({said}, '[.]([0-9]+)', 1) FROM 1 FOR 6), 6, '0') AS BIGINT)"
    offset = f"REGEXP_EXTRACT({said}, '([+-][0-9]{{2}}:[0-9]{{2}})$', 1)"
    sign, hours, minutes = (f"SUBSTRING({offset} FROM {first} FOR {size})" for first, size in ((1, 1), (2, 2), (5, 2)))
    terms = (
        f"{days} * {integer(DAY_US)}",
        f"{part(12, 2)} * {integer(HOUR_US)}",
        f"{part(15, 2)} * {integer(MINUTE_US)}",
        f"{part(18, 2)} * {integer(SECOND_US)}",
        f"COALESCE({fraction}, {integer(0)})",
        f"COALESCE(CAST({sign} || {hours} AS BIGINT) * {integer(-HOUR_US)}, {integer(0)})",
        f"COALESCE(CAST({sign} || {minutes} AS BIGINT) * {integer(-MINUTE_US)}, {integer(0)})",
    )
    return f"CASE WHEN REGEXP({said}, {text(_WRITTEN)}) THEN {' + '.join(terms)} END"
