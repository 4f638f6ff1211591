"""Our own OpenAPI document against the real program: whatever a caller sends, it is answered, in time, as documented.

The short form sends a few requests to every route; `--soak` sends many. Streams without an end are left to their own tests.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

REQUESTS_A_ROUTE = 25
REQUESTS_A_ROUTE_SOAK = 1_000
SLOWEST_ANSWER_S = 20.0
BUDGET_S = 60.0
# These end the caller's own session; everything else may be hit with anything.
ENDINGS = r"/(logout|revoke)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a running Weft without rate limits, and a key that may do everything."""
    folder = tmp_path_factory.mktemp("fuzz")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    environment = {**os.environ, "WEFT_API__RATE_LIMIT_ENABLED": "false", "WEFT_API__ACCESS_LOG": "off"}
    command = [sys.executable, "-m", "weft", "start", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "weft.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=output, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Ctrl-C"):
                    break
            assert process.poll() is None, (folder / "weft.log").read_text()
            yield f"http://127.0.0.1:{port}", (folder / "data" / "secrets" / "local.key").read_text().strip()
        finally:
            process.terminate()
            code = process.wait(timeout=30)
            if process.stdout is not None:
                process.stdout.close()
            assert code == 0, "SIGTERM must drain and end with 0"
    assert "Traceback" not in (folder / "weft.log").read_text(), "something raised that nobody expected"


@pytest.fixture(scope="module")
def document(server: tuple[str, str]) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{server[0]}/openapi.json").exclude(path_regex=ENDINGS)


ERROR_BODY = {"error", "message", "details", "timestamp", "correlation_id"}
AWAY = {501, 503, 504, 507}


def _says_what_is_wrong(_context: Any, answer: Any, _case: Any) -> None:
    """No answer is 500, and every error has the one body."""
    assert answer.status_code < 500 or answer.status_code in AWAY, f"answered {answer.status_code}: {answer.text[:300]}"
    if answer.status_code >= 400:
        assert set(answer.json()) >= ERROR_BODY, f"{answer.status_code} without the usual body: {answer.text[:300]}"


def _streams(operation: Any) -> bool:
    return any("text/event-stream" in answer.get("content", {}) for answer in operation.definition.raw["responses"].values())


@pytest.mark.timeout(600)
@pytest.mark.contract("HC-S30", "LM-strict-json", "SF-238", "SF-239", "SF-240", "SF-241", "SF-242", "SF-D36")
def test_whatever_a_caller_sends_is_answered_as_documented(
    server: tuple[str, str], document: schemathesis.BaseSchema, pytestconfig: pytest.Config
) -> None:
    number = REQUESTS_A_ROUTE_SOAK if pytestconfig.getoption("--soak", False) else REQUESTS_A_ROUTE
    checks = [_says_what_is_wrong, status_code_conformance, content_type_conformance]
    headers = {"X-API-Key": server[1]}
    wrong: list[str] = []
    began = time.monotonic()
    sent = 0

    for found in document.get_all_operations():
        operation = found.ok()
        if _streams(operation):
            continue

        @hypothesis.settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @hypothesis.given(case=operation.as_strategy())
        def attempt(case: schemathesis.Case) -> None:
            nonlocal sent
            sent += 1
            answer = case.call(headers=headers, timeout=SLOWEST_ANSWER_S)
            case.validate_response(answer, checks=checks)

        try:
            attempt()
        except (Exception, FailureGroup) as failure:  # every route is tried before anything is told
            wrong.append(f"{operation.label}: {failure}")

    assert sent > 20, "the document lists no routes"
    assert wrong == [], "\n\n".join(wrong)
    assert number > REQUESTS_A_ROUTE or time.monotonic() - began < 2 * BUDGET_S, f"{sent} requests took too long"
