"""PostgreSQL for tests."""

import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.services.install import postgres_folder
from tests.services.server import Server, free_ports

PASSWORD = "for tests only"


class PostgresServer(Server):
    """A cluster of its own. `url` names the database `postgres`; tests make their own beside it."""

    name = "PostgreSQL"
    user: ClassVar[str | None] = "postgres"

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        super().__init__(folder)
        (self._port,) = free_ports(1)
        self._options = tuple(options)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, *, port: int | None = None) -> str:
        """The address of a database, through another port where a proxy stands before the server."""
        return f"postgresql://postgres:for%20tests%20only@127.0.0.1:{port or self._port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; returns its address."""
        name = f"test_{secrets.token_hex(6)}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def psql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement and return what it printed."""
        done = subprocess.run(
            [self._program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url_of(database), "-c", statement],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def prepare(self) -> None:
        if (self.folder / "data" / "PG_VERSION").exists():
            return
        (self.folder / "password").write_text(PASSWORD)
        subprocess.run(["chown", "-R", "postgres", str(self.folder)], check=False, capture_output=True)
        subprocess.run(
            [
                *(self._program("initdb"), "-D", str(self.folder / "data"), "-U", "postgres", "-A", "scram-sha-256"),
                *(f"--pwfile={self.folder / 'password'}", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            user=self._account,
        )

    def command(self) -> Sequence[str]:
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}", *self._options)
        flags = [flag for setting in settings for flag in ("-c", setting)]
        return [self._program("postgres"), "-D", str(self.folder / "data"), "-p", str(self._port), *flags]

    def stop(self) -> None:
        self._end(signal.SIGINT)  # "fast": SIGTERM would wait until the last client went by itself

    def answers(self) -> bool:
        ready = subprocess.run(
            [self._program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)], check=False, timeout=10
        )
        return ready.returncode == 0

    @property
    def _account(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    @staticmethod
    def _program(name: str) -> str:
        folder = postgres_folder()
        assert folder is not None
        return str(folder / name)
