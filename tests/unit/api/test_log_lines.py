"""Log lines: one JSON object each, with the documented fields, and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from weft.api.access import AccessLog
from weft.api.correlation import enter_correlation
from weft.api.logger import configure_logging
from weft.api.settings import ApiSettings
from weft.testing.clock import ManualClock


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A configured logging that is put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    config = structlog.get_config()
    stream = io.StringIO()
    configure_logging(ApiSettings(log_format="json", log_level="INFO"), service="ingestion", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)
    logging.getLogger("uvicorn.access").disabled = False


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.contract("SF-295", "SF-296", "SF-297", "SF-298", "SF-299", "SF-300", "SF-301", "SF-302", "SF-303", "SF-305")
@pytest.mark.parametrize("kind", ["logging", "structlog"])
def test_a_line_has_the_documented_fields_whoever_wrote_it(stream: io.StringIO, kind: str) -> None:
    said: dict[str, Any] = {"event_id": "e-1", "user_id": "u-1", "duration": 0.045, "event_type": "web.click", "source": "web"}
    enter_correlation("c-1")
    if kind == "logging":
        logging.getLogger("weft.ingest").info("event_accepted", extra=said)
    else:
        structlog.get_logger("weft.ingest").info("event_accepted", **said)
    enter_correlation("")
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "service": "ingestion",
        "message": "event_accepted",
        "correlation_id": "c-1",
        "event_id": "e-1",
        "user_id": "u-1",
        "duration": 0.045,
        "extra": {"logger": "weft.ingest", "event_type": "web.click", "source": "web"},
    }


def test_what_is_not_known_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("x").warning("disk %s is %d %% full", "sda", 91)
    [line] = lines(stream)
    assert line["message"] == "disk sda is 91 % full"
    assert set(line) == {"timestamp", "level", "service", "message", "extra"}


@pytest.mark.contract("SF-304")
def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logging.getLogger("x"), level)("said")
        getattr(structlog.get_logger("y"), level)("said")
    assert [line["level"] for line in lines(stream)] == [
        name for name in ("INFO", "WARNING", "ERROR", "CRITICAL") for _ in range(2)
    ]


@pytest.mark.parametrize("kind", ["logging", "structlog"])
def test_a_failure_brings_its_trace_in_one_line(stream: io.StringIO, kind: str) -> None:
    def fail() -> None:
        raise RuntimeError("with Bearer abcdefghijkl inside")

    try:
        fail()
    except RuntimeError:
        source = logging.getLogger("x") if kind == "logging" else structlog.get_logger("x")
        source.exception("request_failed")
    [line] = lines(stream)
    assert "RuntimeError: with Bearer *** inside" in line["extra"]["exception"]
    assert line["message"] == "request_failed"


SECRETS = ["hunter2secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "weft_ab12cd_3f9a8b7c6d5e4f3a"]


@pytest.mark.parametrize(
    "said",
    [
        {"password": SECRETS[0]},
        {"new_password": SECRETS[0]},
        {"Authorization": SECRETS[0]},
        {"headers": {"cookie": SECRETS[0], "x-api-key": SECRETS[0]}},
        {"url": f"postgresql://weft:{SECRETS[0]}@db/weft"},
        {"seen": [f"Bearer {SECRETS[1]}"]},
        {"text": SECRETS[1]},
        {"text": SECRETS[2]},
        {"text": f"/login?token={SECRETS[0]}&x=1"},
        {"refresh_token": SECRETS[1]},
    ],
    ids=str,
)
@pytest.mark.parametrize("log_format", ["json", "human"])
def test_secrets_are_never_written(said: dict[str, Any], log_format: str, stream: io.StringIO) -> None:
    configure_logging(ApiSettings.model_validate({"log_format": log_format}), service="x", stream=stream)
    logging.getLogger("x").info("said", extra=said)
    structlog.get_logger("x").info("said", **said)
    logging.getLogger("x").info("said %s", f"password={SECRETS[0]} Bearer {SECRETS[1]} {SECRETS[2]}")
    text = stream.getvalue()
    assert "***" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_harmless_words_are_left_alone(stream: io.StringIO) -> None:
    logging.getLogger("x").info("said", extra={"tokens_total": 5, "keyboard": "de", "tokenizer": "x", "topic": "secretary"})
    assert lines(stream)[0]["extra"] == {
        "logger": "x", "tokens_total": 5, "keyboard": "de", "tokenizer": "x", "topic": "secretary"
    }  # fmt: skip


def test_people_get_text(stream: io.StringIO) -> None:
    configure_logging(ApiSettings(log_format="human"), service="x", stream=stream)
    logging.getLogger("weft.x").info("store_flushed", extra={"files": 3})
    assert "store_flushed" in stream.getvalue()
    assert "files=3" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_what_is_no_terminal_gets_json_by_itself(stream: io.StringIO) -> None:
    configure_logging(ApiSettings(), service="x", stream=stream)
    logging.getLogger("x").info("said")
    assert lines(stream)[-1]["message"] == "said"


def test_a_value_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    logging.getLogger("x").info("said", extra={"error": ValueError("odd"), "raw": b"\xff"})
    assert lines(stream)[0]["extra"]["error"] == "odd"


@pytest.mark.contract("SF-299", "SF-301", "SF-302", "SF-305")
async def test_requests_are_logged_in_groups_but_each_on_its_own_line(stream: io.StringIO, clock: ManualClock) -> None:
    log = AccessLog("all", clock)
    path = '/a"b\n/{"fake":1}'
    log.write(("c-1", "u-1", 0.0451234, "GET", path, "/{x}", 200, "127.0.0.1"))
    log.write(("c-2", None, 0.5, "POST", "/events", "/events", 503, "::1"))
    log.flush()
    first, second = lines(stream)
    assert first == {
        "timestamp": "2026-05-28T20:26:40Z",
        "level": "INFO",
        "service": "ingestion",
        "message": "http_request",
        "correlation_id": "c-1",
        "user_id": "u-1",
        "duration": 0.045123,
        "extra": {"method": "GET", "path": path, "route": "/{x}", "status": 200, "client_ip": "127.0.0.1"},
    }
    assert (second["level"], second["correlation_id"], "user_id" in second) == ("WARNING", "c-2", False)


async def test_for_people_a_request_is_one_line_that_nobody_can_forge(stream: io.StringIO, clock: ManualClock) -> None:
    configure_logging(ApiSettings(log_format="human"), service="x", stream=stream)
    log = AccessLog("all", clock)
    log.write(("c-1", "alice", 0.0451, "GET", "/a\nb", "/{x}", 200, "127.0.0.1"))
    log.flush()
    assert len(stream.getvalue().splitlines()) == 1
    assert "45.1 ms for alice" in stream.getvalue()


@pytest.mark.parametrize(("which", "status", "lowest"), [("all", 200, 0), ("failures", 500, 500), ("off", 599, 10_000)])
def test_which_requests_get_a_line_is_a_setting(which: Any, status: int, lowest: int, clock: ManualClock) -> None:
    assert AccessLog(which, clock).lowest_status == lowest
    assert (status >= lowest) is (which != "off")
