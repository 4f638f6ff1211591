"""These tests need Flink in an environment of its own (`make test-engines`), so they run only where they are named."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.engines.flink import FlinkCluster
from tests.engines.install import install

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    named = any(Path(argument.partition("::")[0]).resolve().is_relative_to(HERE) for argument in config.args)
    return None if named else True


@pytest.fixture(scope="session")
def flink() -> Generator[FlinkCluster]:
    """Flink, shared: give tables and topics names of their own."""
    install()
    with tempfile.TemporaryDirectory(prefix="weft-flink-", ignore_cleanup_errors=True) as folder:
        cluster = FlinkCluster(Path(folder)).start()
        try:
            yield cluster
        finally:
            cluster.stop()
