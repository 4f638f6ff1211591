"""Our own OpenAPI document against the real program: whatever a caller sends, it is answered, in time, as documented.

The short form sends a few requests to every route; `--soak` sends many. Streams without an end are left to their own tests.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.system.deployment import Process

REQUESTS_A_ROUTE = 15
REQUESTS_A_ROUTE_SOAK = 1_000
SLOWEST_ANSWER_S = 20.0
# These end the caller's own session; everything else may be hit with anything.
ENDINGS = r"/(logout|revoke)"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("fuzz"), environment={"LOG_FORMAT": "human"})
    try:
        process.url()
        yield process
        assert process.stop() == 0, "SIGTERM must drain and end with 0"
        assert "Traceback" not in process.text, "something raised that nobody expected"
    finally:
        process.kill()


@pytest.fixture(scope="module")
def key(process: Process) -> str:
    """A key that may do everything."""
    return (process.data_dir / "secrets" / "local.key").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def document(process: Process) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{process.url()}/openapi.json").exclude(path_regex=ENDINGS)


ERROR_BODY = {"error", "message", "details", "timestamp", "correlation_id"}
AWAY = {501, 503, 504, 507}


def _says_what_is_wrong(_context: Any, answer: Any, _case: Any) -> None:
    """No answer is 500, and every error has the one body."""
    assert answer.status_code < 500 or answer.status_code in AWAY, f"answered {answer.status_code}: {answer.text[:300]}"
    if answer.status_code >= 400:
        assert set(answer.json()) >= ERROR_BODY, f"{answer.status_code} without the usual body: {answer.text[:300]}"


def _streams(operation: Any) -> bool:
    return any("text/event-stream" in answer.get("content", {}) for answer in operation.definition.raw["responses"].values())


def _failures_of(operation: Any, number: int, headers: dict[str, str]) -> list[str]:
    """What goes wrong in so many requests to one route: nothing, or the smallest request that shows it."""
    seen: list[str] = []

    @hypothesis.settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @hypothesis.given(case=operation.as_strategy())
    def attempt(case: schemathesis.Case) -> None:
        try:
            answer = case.call(headers=headers, timeout=SLOWEST_ANSWER_S)
            case.validate_response(answer, checks=[_says_what_is_wrong, status_code_conformance, content_type_conformance])
        except (Exception, FailureGroup) as failure:
            seen.append(f"{operation.label}: {failure}")
            raise

    with suppress(Exception, FailureGroup):  # every route is tried before anything is told
        attempt()
    return seen[-1:]


@pytest.mark.timeout(900)
@pytest.mark.contract("HC-S30", "LM-strict-json", "SF-238", "SF-239", "SF-240", "SF-241", "SF-242", "SF-D36")
def test_whatever_a_caller_sends_is_answered_as_documented(
    key: str, document: schemathesis.BaseSchema, pytestconfig: pytest.Config
) -> None:
    number = REQUESTS_A_ROUTE_SOAK if pytestconfig.getoption("--soak", False) else REQUESTS_A_ROUTE
    operations = [found.ok() for found in document.get_all_operations()]
    asked = [operation for operation in operations if not _streams(operation)]

    wrong = [failure for operation in asked for failure in _failures_of(operation, number, {"X-API-Key": key})]

    assert len(asked) > 20, "the document lists no routes"
    assert wrong == [], "\n\n".join(wrong)
