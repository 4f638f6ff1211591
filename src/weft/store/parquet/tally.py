"""The tally: counts that the manifest knows already, so that nobody has to open the files for them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from weft.core.times import DAY_US, HOUR_US
from weft.store.parquet.conditions import Parameters
from weft.store.parquet.engine import Engine
from weft.store.parquet.layout import UNKNOWN, StoredFile
from weft.store.parquet.scan import Scan
from weft.store.query import Aggregate, Filter

_WIDTHS: Final = {"hour": HOUR_US, "day": DAY_US}


def tally(scan: Scan, asked: Aggregate) -> tuple[dict[tuple[Any, ...], int], Scan]:
    """Counts by group of the files that need not be opened, and the scan of the others. Nothing where counts do not help."""
    if asked.metric != "count" or asked.field is not None or not _is_known(asked) or not _is_countable(asked.filter):
        return {}, scan
    whole, others = scan.split()
    if "severity" in asked.group_by or asked.filter.severities is not None:
        others = replace(others, files=[*others.files, *(file for file in whole if not _has_severities(file))])
        whole = [file for file in whole if _has_severities(file)]
    counts: Counter[tuple[Any, ...]] = Counter()
    for file in whole:
        for name, severity, rows in _counted(file, asked.filter):
            counts[tuple(_key(file, name, severity, key, asked.interval_us) for key in asked.group_by)] += rows
    return dict(counts), others


def _has_severities(file: StoredFile) -> bool:
    return not any(UNKNOWN in severities for severities in file.tally.values())


def _counted(file: StoredFile, asked: Filter) -> Iterator[tuple[str, str, int]]:
    """(type, severity, how many) of the events in a file that the filter wants."""
    for name, severities in file.tally.items():
        if asked.types is None or name in asked.types:
            for severity, rows in severities.items():
                if asked.severities is None or severity in asked.severities:
                    yield name, severity, rows


def count_all(engine: Engine, scan: Scan) -> int:
    """How many events match."""
    counts, rest = tally(scan, Aggregate(filter=scan.asked, group_by=()))
    counted = sum(counts.values())
    if rest.is_empty:
        return counted
    parameters = Parameters()
    ((found,),) = engine.rows(f"SELECT count(*) FROM ({rest.sql('1 AS one', parameters)})", parameters.values, rest.tables)
    return counted + found


def _is_known(asked: Aggregate) -> bool:
    hourly = asked.interval_us is not None and asked.interval_us % HOUR_US == 0
    known = {"type", "severity", "hour", "day"} | ({"interval"} if hourly else set[str]())
    return known.issuperset(asked.group_by)


def _is_countable(asked: Filter) -> bool:
    """Whether only types, severities and times are asked for."""
    counted = Filter(
        topic=asked.topic, start_us=asked.start_us, end_us=asked.end_us, types=asked.types, severities=asked.severities
    )
    return asked == counted


def _key(file: StoredFile, name: str, severity: str, key: str, interval_us: int | None) -> Any:
    if key == "type":
        return name
    if key == "severity":
        return severity
    width_us = _WIDTHS.get(key, interval_us or HOUR_US)
    return file.hour * HOUR_US // width_us * width_us
