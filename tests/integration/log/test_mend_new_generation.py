"""A write-ahead log that began anew has old frames behind its new ones; they are no damage and no news."""

from pathlib import Path

import apsw

from weft.log.sqlite.mend import mend


def leave_as_killed(path: Path, new_commits: int) -> None:
    """A database with many commits in the file, and `new_commits` in a write-ahead log that was begun anew over old frames."""
    work = path.with_suffix(".work")
    connection = apsw.Connection(str(work))
    connection.wal_autocheckpoint(0)
    list(connection.execute("PRAGMA journal_mode=WAL"))
    connection.execute("CREATE TABLE fact (number INTEGER, filling BLOB)")
    for number in range(10):
        connection.execute("INSERT INTO fact VALUES (?, zeroblob(2000))", (number,))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    for number in range(10, 10 + new_commits):
        connection.execute("INSERT INTO fact VALUES (?, NULL)", (number,))
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}").write_bytes(Path(f"{work}{suffix}").read_bytes())
    connection.close()


def test_old_frames_behind_new_ones_are_left_alone(tmp_path: Path) -> None:
    for new_commits in (1, 2, 3, 4):
        path = tmp_path / f"{new_commits}.db"
        leave_as_killed(path, new_commits)

        mended = mend(path)

        numbers = [number for (number,) in apsw.Connection(str(path)).execute("SELECT number FROM fact ORDER BY 1")]
        assert numbers == list(range(10 + new_commits)), f"{new_commits} commits were flushed and acknowledged"
        assert not mended
