"""What the tests need from outside Python, and how to get it: Debian packages, and Kafka's jars by Maven.

`python -m tests.services.install` installs what is missing where it may (root, with apt), and else says what is missing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

JARS: Final = Path(__file__).parents[2] / ".services" / "kafka"
POM: Final = Path(__file__).parent / "kafka" / "pom.xml"


@dataclass(frozen=True)
class Need:
    """Something a server needs on this machine."""

    name: str
    packages: tuple[str, ...]
    is_there: Callable[[], bool]

    @property
    def advice(self) -> str:
        """What to do where it is missing."""
        return f"{self.name} is not installed: apt-get install {' '.join(self.packages)}"


def postgres_folder() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _has(*programs: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(program) is not None for program in programs)


POSTGRES: Final = Need("PostgreSQL", ("postgresql",), lambda: postgres_folder() is not None)
REDIS: Final = Need("Redis", ("redis-server",), _has("redis-server"))
RABBITMQ: Final = Need("RabbitMQ", ("rabbitmq-server",), lambda: Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists())
KAFKA: Final = Need("Java and Maven for Kafka", ("openjdk-17-jre-headless", "maven"), _has("java", "mvn"))
NEEDS: Final = (POSTGRES, REDIS, RABBITMQ, KAFKA)


def install() -> list[str]:
    """Install what is missing and may be installed; returns a sentence for each thing that is still missing."""
    missing = [need for need in NEEDS if not need.is_there()]
    if missing and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        _install_packages(sorted({package for need in missing for package in need.packages}))
    if KAFKA.is_there():
        fetch_jars()
    return [need.advice for need in NEEDS if not need.is_there()]


def _install_packages(packages: list[str]) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_servers_started():
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, env=quiet)


class _no_servers_started:  # noqa: N801 - reads as a statement
    """Debian starts a server when it installs it; the tests start their own, so here that is forbidden for the while."""

    _policy: Final = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self._was_there = self._policy.exists()
        if not self._was_there:
            self._policy.write_text("#!/bin/sh\nexit 101\n")
            self._policy.chmod(0o755)

    def __exit__(self, *exc: object) -> None:
        if not self._was_there:
            self._policy.unlink()


def fetch_jars() -> None:
    """Kafka's jars, resolved by Maven from the pom, once for each version of it."""
    mark = JARS / "pom.xml"
    if mark.exists() and mark.read_bytes() == POM.read_bytes():
        return
    shutil.rmtree(JARS, ignore_errors=True)
    JARS.mkdir(parents=True)
    subprocess.run(
        ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={JARS / 'lib'}"], check=True
    )
    shutil.copyfile(POM, mark)


if __name__ == "__main__":
    for sentence in install():
        print(sentence, file=sys.stderr)
