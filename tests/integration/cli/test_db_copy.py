"""`weft db copy`: the accounts move to PostgreSQL and back, with a proof to keep and an exit code to rely on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.postgres import PostgresServer
from weft.cli.main import main

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


def test_accounts_move_to_postgresql_and_work_there(weft: Weft, postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.create_database()
    assert weft("users", "create", "ada@example.org", "--password", "correct horse battery")[0] == 0
    code, answer, _ = weft("db", "copy", "--to", url, "--format", "json")
    told = json.loads(answer)
    assert (code, told["same"], told["rows"]) == (0, True, 3)
    copied = {table["table"]: table["rows_copied"] for table in told["tables"]}
    assert (copied["users"], copied["audit_entries"], copied["audit_head"]) == (1, 1, 1), "the ledger goes along"

    code, _, why = weft("db", "copy", "--to", url)
    assert code == 1
    assert "already holds 1 rows in 'audit_entries'" in why

    (tmp_path / "config.yaml").write_text(f"db:\n  url: {url}\n")
    code, answer, _ = weft("users", "list", "--format", "csv")
    assert code == 0
    assert "ada@example.org" in answer

    code, answer, note = weft("db", "copy", "--to", f"sqlite:///{tmp_path / 'back.db'}")
    assert code == 0
    assert "Both sides hold the same 3 rows." in answer
    assert "secrets" in note

    assert weft("db", "copy", "--to", url)[0] == 2, "onto itself"
    assert weft("db", "copy", "--to", "mysql://host/weft")[0] == 2


def test_a_folder_without_a_database_is_not_taken_for_an_empty_one(weft: Weft, tmp_path: Path) -> None:
    code, _, why = weft("db", "copy", "--to", f"sqlite:///{tmp_path / 'copy.db'}", "--data-dir", "mistyped")
    assert code == 5
    assert "there is no database" in why
    assert not (tmp_path / "mistyped").exists()
    assert not (tmp_path / "copy.db").exists()


def test_a_target_that_is_away_is_told_without_its_password(weft: Weft, free_port: int) -> None:
    assert weft("users", "create", "ada@example.org")[0] == 0
    code, _, why = weft("db", "copy", "--to", f"postgresql://u:hunter2@127.0.0.1:{free_port}/weft")
    assert code == 1
    assert "cannot be reached" in why
    assert "hunter2" not in why
