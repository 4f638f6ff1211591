"""`weft audit`: the ledger is checked and carried away without a server, and the exit code says whether it is whole."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from weft.audit.key import load_signing_key
from weft.audit.signer import RootSigner
from weft.cli.main import main
from weft.core.clock import SystemClock
from weft.core.times import DAY_US
from weft.db.database import Database
from weft.testing.clock import ManualClock

Weft = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weft(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Weft:
    """Runs the program in this process; returns exit code, answer and notes."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["weft", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), written.out, written.err

    return run


@pytest.fixture
def folder(weft: Weft, tmp_path: Path) -> Path:
    """A data folder with three accounts and a signed root."""
    for name in ("ada", "grace", "joan"):
        assert weft("users", "create", f"{name}@example.org", "--password", "correct horse battery")[0] == 0
    data_dir = tmp_path / "weft-data"

    async def sign() -> None:
        database = Database(f"sqlite:///{data_dir / 'weft.db'}")
        await RootSigner(
            database, load_signing_key(None, data_dir / "secrets"), clock=ManualClock(SystemClock().now_us() + DAY_US)
        ).look()
        await database.close()

    asyncio.run(sign())
    return data_dir


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "weft.db") as connection:
        connection.execute(statement)
    connection.close()


def test_a_whole_ledger_is_told_in_one_sentence(weft: Weft, folder: Path) -> None:
    code, answer, _ = weft("audit", "verify")
    assert code == 0
    assert answer.startswith("The ledger is whole: 3 entries in one chain, 1 signed root, the last one of ")
    assert answer.count("\n") == 1

    code, answer, _ = weft("audit", "verify", "--format", "json")
    told = json.loads(answer)
    assert (code, told["ok"], told["entries"], told["roots"], told["entry"]) == (0, True, 3, 1, None)


def test_what_was_changed_by_hand_ends_with_1_and_the_number(weft: Weft, folder: Path) -> None:
    change(folder, "UPDATE audit_entries SET changes = replace(changes, 'grace', 'mallory') WHERE number = 2")

    code, answer, _ = weft("audit", "verify")
    assert code == 1
    assert "entry 2 was changed" in answer
    assert json.loads(weft("audit", "verify", "--format", "json")[1])["entry"] == 2


def test_an_export_is_verified_anywhere_with_the_public_key_alone(weft: Weft, folder: Path, tmp_path: Path) -> None:
    exported = weft("audit", "export")[1]
    public = weft("audit", "key")[1]
    away = tmp_path / "away"
    away.mkdir()
    (away / "ledger.ndjson").write_text(exported)
    (away / "audit.pub").write_text(public)
    folder.rename(tmp_path / "gone")
    ledger, key = str(away / "ledger.ndjson"), ("--key", str(away / "audit.pub"))

    assert weft("audit", "verify", ledger, *key)[0] == 0
    code, answer, _ = weft("audit", "verify", ledger)
    assert code == 1, "without the key nobody knows who signed it"
    assert "give the public half of the key" in answer

    lines = exported.splitlines(keepends=True)
    assert [json.loads(line)["line"] for line in lines] == ["entry", "entry", "entry", "root", "head"]
    wrong = {
        "entry 2 was changed": [lines[0], lines[1].replace("grace", "mallory"), *lines[2:]],
        "entry 1 is missing": lines[1:],
        "entry 3 is missing": [*lines[:2], *lines[3:]],
        "entry 2 is missing, before entry 3": [lines[0], lines[2], lines[1], *lines[3:]],
        "entry 2 stands behind entry 2": [*lines[:2], lines[1], *lines[2:]],
        "breaks off behind entry 3": lines[:-1],
        "entry 3 is missing, of which the head knows": [*lines[:2], lines[-1]],
        "something comes after the head": [*lines, lines[0]],
        "line 2 is no line of an export": [lines[0], lines[1][:40] + "\n", *lines[2:]],
        "line 3 is no line of an export": [
            *lines[:2],
            lines[2].replace('"line":"entry"', '"line":"entry","more":1'),
            *lines[3:],
        ],
    }
    for sentence, text in wrong.items():
        (away / "ledger.ndjson").write_text("".join(text))
        code, answer, _ = weft("audit", "verify", ledger, *key)
        assert (code, sentence in answer) == (1, True), answer


def test_the_command_line_is_told_as_who_acted(weft: Weft, folder: Path) -> None:
    first = json.loads(weft("audit", "export")[1].splitlines()[0])
    assert (first["actor_kind"], first["actor_name"], first["action"]) == ("command_line", "command line", "create")
    assert "correct horse" not in weft("audit", "export")[1]


def test_a_ledger_moves_to_postgresql_and_stays_whole(weft: Weft, folder: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    assert weft("db", "copy", "--to", url)[0] == 0

    code, answer, _ = weft("audit", "verify", "--database", url)
    assert code == 0, answer
    assert "3 entries" in answer
    assert weft("audit", "export", "--database", url)[1] == weft("audit", "export")[1]


def test_where_there_is_no_ledger_nothing_is_made(weft: Weft, tmp_path: Path) -> None:
    for words in (("verify",), ("export",), ("key",)):
        code, _, why = weft("audit", *words, "--data-dir", "mistyped")
        assert (code, "there is no" in why) == (5, True)
    assert not (tmp_path / "mistyped").exists()
    assert weft("audit", "verify", "nowhere.ndjson")[0] == 2
    sqlite3.connect(tmp_path / "empty.db").close()
    code, _, why = weft("audit", "verify", "--database", f"sqlite:///{tmp_path / 'empty.db'}")
    assert (code, "has no ledger" in why) == (5, True)
