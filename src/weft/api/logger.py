"""Log lines: one JSON object each for machines, or text for people. Everything that logs goes through here.

Fields: `timestamp, level, service, message`, where known `correlation_id, event_id, user_id, duration`, and whatever else was
said under `extra`. Rooms log with `logging` or `structlog`, as they like. Secrets are struck out, by the name of a field and
by the look of a value.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO, cast

import msgspec
import structlog

from weft.api.access import AccessLines
from weft.api.correlation import correlation_id
from weft.api.settings import ApiSettings
from weft.api.trace_context import trace_id

Fields = MutableMapping[str, Any]
_NOBODY: Final = logging.getLogger()

_TOP: Final = ("correlation_id", "event_id", "user_id", "duration")
_SECRET_NAME: Final = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret|token|jwt|authorization|cookie|credentials?|api[_-]?key|csrf)s?(?:$|[_\-.])",
    re.IGNORECASE,
)
_SECRET_VALUES: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "***"),
    (re.compile(r"\bweft_([A-Za-z0-9]+)_[A-Za-z0-9_-]{8,}"), r"weft_\1_***"),
    (re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@"), r"\1:***@"),
    (re.compile(r"(?i)\b(password|secret|token|api[_-]?key)=[^\s&,;\"']+"), r"\1=***"),
)
HIDDEN: Final = "***"


def configure_logging(settings: ApiSettings, *, service: str, stream: TextIO | None = None) -> None:
    """Send everything this process logs to `stream` (standard output unless given) in the chosen format."""
    out = stream or sys.stdout
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not out.isatty())
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter(service) if as_json else _human_formatter(colours=out.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        foreign = logging.getLogger(name)
        foreign.handlers.clear()
        foreign.propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # the edge writes that line, with more in it
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._foreign = structlog.stdlib.ExtraAdder()

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, AccessLines):
            return record.msg.as_json(self._service, record.levelname)
        said = self._fields(record)
        line: dict[str, Any] = {
            "timestamp": _moment(record.created),
            "level": record.levelname,
            "service": self._service,
            "message": scrub(str(said.pop("event", ""))),
            "correlation_id": said.pop("correlation_id", None) or correlation_id() or None,
        }
        for name in _TOP[1:]:
            line[name] = said.pop(name, None)
        line["extra"] = {"logger": said.pop("logger", record.name), **{k: hide(k, v) for k, v in said.items()}}
        if trace_id() is not None:
            line["extra"]["trace_id"] = trace_id()
        if trace := self._trace(record, line["extra"]):
            line["extra"]["exception"] = scrub(trace)
        return msgspec.json.encode({k: v for k, v in line.items() if v is not None}, enc_hook=str).decode()

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        if isinstance(record.msg, dict):  # structlog hands its fields over whole
            return dict(cast("dict[str, Any]", record.msg))
        said = self._foreign(_NOBODY, "", {"event": record.getMessage(), "_record": record})
        return {name: value for name, value in said.items() if name != "_record"}

    def _trace(self, record: logging.LogRecord, extra: dict[str, Any]) -> str:
        told = extra.pop("exc_info", None) or record.exc_info
        if told is True:
            told = sys.exc_info()
        if isinstance(told, BaseException):
            told = (type(told), told, told.__traceback__)
        return self.formatException(told) if told and told[0] else ""


def _human_formatter(*, colours: bool) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.stdlib.add_log_level,
            _add_context,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
        ],
    )


def _add_context(_logger: Any, _method: str, fields: Fields) -> Fields:
    if correlation_id():
        fields.setdefault("correlation_id", correlation_id())
    for name, value in fields.items():
        fields[name] = hide(name, value)
    return fields


def hide(name: str, value: Any) -> Any:
    """A field's value as it may be written: struck out where its name says it is a secret, scrubbed where it looks like one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {k: hide(str(k), v) for k, v in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [hide("", entry) for entry in cast("list[Any]", value)]
    return value


def scrub(text: str) -> str:
    """Text without anything that looks like a credential."""
    for pattern, replacement in _SECRET_VALUES:
        text = pattern.sub(replacement, text)
    return text


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
