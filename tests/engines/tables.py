"""Topics as files: a folder for each partition, a line for each offset, so that Flink can answer without a broker."""

import json
from pathlib import Path

from tests.conformance.stream.transcript import Transcript
from weft.stream.flink.log_order import Reading, declared_time
from weft.stream.flink.text import name, text

_COUNTED = "CASE WHEN happened <= received + CAST(300000000 AS BIGINT) THEN happened END"


class FileTables:
    """Tables over the partitions of topics written by `write`, and over folders that results are written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partitions: dict[str, list[int]] = {}

    def write(self, transcript: Transcript) -> None:
        """The log of a transcript."""
        self._partitions[transcript.topic] = list(transcript.partitions)
        for partition, entries in transcript.partitions.items():
            folder = self._folder / transcript.topic / str(partition)
            folder.mkdir(parents=True)
            lines = (
                {
                    "offset": entry.offset,
                    "happened": entry.time_us,
                    "received": entry.received_at_us,
                    "row": None if entry.row is None else json.dumps(entry.row, ensure_ascii=False),
                }
                for entry in entries
            )
            (folder / "events.json").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def results(self, topic: str) -> list[dict[str, object]]:
        """The events that were written to a topic."""
        files = (self._folder / topic).glob("part-*")
        return [json.loads(json.loads(line)["row"]) for file in files for line in file.read_text().splitlines()]

    def source(self, reading: Reading) -> list[str]:
        """A table for each partition, so that each has a watermark of its own, and a view over all."""
        made: list[str] = []
        tables: list[str] = []
        for partition in self._partitions[reading.topic]:
            table = name(f"{reading.name} {partition}")
            written = (
                f"  `offset` BIGINT,\n  happened BIGINT,\n  received BIGINT,\n  `row` STRING,\n  `partition` AS {partition},\n"
            )
            declared = declared_time(reading, time_us="happened", counted_us=_COUNTED)
            path = self._folder / reading.topic / str(partition)
            made.append(f"CREATE TEMPORARY TABLE {table} (\n{written}{declared}){self._files(path)}")
            tables.append(f"SELECT *, received AS received_us FROM {table}")
        return [*made, f"CREATE TEMPORARY VIEW {self.table(reading)} AS\n" + "\nUNION ALL ".join(tables)]

    def table(self, reading: Reading) -> str:
        return name(f"{reading.name} entries")

    def sink(self, topic: str) -> str:
        return f"CREATE TEMPORARY TABLE {name(topic)} (source STRING, `row` STRING){self._files(self._folder / topic)}"

    @staticmethod
    def _files(path: Path) -> str:
        return f" WITH ('connector' = 'filesystem', 'path' = {text(str(path))}, 'format' = 'json')"
