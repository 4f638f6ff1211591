"""A process that reads while another one begins a partition finds it whole or not at all."""

import threading
from pathlib import Path

from weft.log.sqlite.ledger import Ledger


def test_a_ledger_that_can_be_seen_can_be_read(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.db" for number in range(60)]
    failures: list[str] = []

    def read() -> None:
        for path in paths:
            while not path.exists():
                pass
            ledger = Ledger(path, write=False)
            try:
                ledger.last_trimmed()
            except Exception as failure:
                failures.append(repr(failure))
            finally:
                ledger.close()

    reader = threading.Thread(target=read)
    reader.start()
    for path in paths:
        Ledger(path, write=True).close()
    reader.join()

    assert failures == []
