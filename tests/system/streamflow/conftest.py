"""One Weft, set up as StreamFlow's documents say, for all tests here.

A client written for StreamFlow's documents finds what it expects, on the paths and in the shapes it knows. Everything goes over
real sockets to the installed program; what a client of that system sends is sent as it stands there.
"""

from collections.abc import Iterator

import httpx
import pytest

from tests.system.deployment import Process, run_weft
from tests.system.streamflow.walk import EMAIL, PASSWORD, SECRET, data_dir_of


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("streamflow")
    environment = {
        "JWT_SECRET_KEY": SECRET,
        "CORS_ORIGINS": "https://app.example.org,https://other.example.org",
        "WEFT_API__ACCESS_LOG": "all",
        "WEFT_API__METRICS_PREFIX": "streamflow",
        "LOG_FORMAT": "json",
    }
    process = Process(folder, environment=environment)
    try:
        process.url()
        run_weft("users", "create", EMAIL, "--role", "operator", "--password", PASSWORD, *data_dir_of(process), cwd=folder)
        run_weft("users", "create", "bob@example.org", "--password", PASSWORD, *data_dir_of(process), cwd=folder)
        yield process
    finally:
        process.kill()


@pytest.fixture(scope="session")
def token(process: Process) -> str:
    answer = httpx.post(f"{process.url()}/auth/login", json={"username": EMAIL, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["access_token"]
    return text


@pytest.fixture(scope="session")
def client(process: Process, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=process.url(), headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        yield client
