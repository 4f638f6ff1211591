"""The rooms keep the rules of the house."""

import ast
import sys

import pytest

from docs.generator.tree import PACKAGE, ROOMS, imports_of, modules

MAX_LINES = 450

# Each third-party package is imported only here. A new one has to be placed before it can be used.
ANYWHERE = {"msgspec", "numpy", "pydantic", "pydantic_core", "starlette", "fastapi", "structlog"}
PLACES = {
    "aio_pika": ("log/rabbitmq/broker.py",),
    "aiormq": ("log/rabbitmq/broker.py",),
    "aiosmtplib": ("alerts/notify/channels/smtp.py",),
    "aiosqlite": ("db/",),
    "alembic": ("db/",),
    "apprise": ("alerts/notify/channels/apprise.py",),
    "asyncpg": ("store/postgres/connect.py",),
    "apsw": ("log/sqlite/", "store/parquet/", "testing/faulty_disk.py"),
    "confluent_kafka": ("log/kafka/client.py",),
    "cronsim": ("inventory/cron.py",),
    "cryptography": ("audit/key.py", "auth/"),
    "duckdb": ("store/parquet/",),
    "datasketches": ("stream/aggregate/",),
    "email_validator": ("auth/",),
    "fastapi_swagger": ("api/docs_page.py",),
    "google_crc32c": ("log/frame.py",),
    "httpx": ("cli/", "alerts/notify/post.py", "identifiers/ask.py"),
    "hypothesis": ("testing/",),
    "jsonschema_rs": ("core/", "ingest/"),
    "jwt": ("auth/",),
    "opentelemetry": ("api/", "app/", "log/kafka/log.py"),
    "pamqp": ("log/rabbitmq/broker.py",),
    "prometheus_client": ("api/", "app/"),
    "promql_parser": ("alerts/prometheus/promql.py",),
    "psutil": ("api/", "app/", "ingest/"),
    "pwdlib": ("auth/",),
    "pyarrow": ("core/", "store/", "query/", "stream/", "testing/"),
    "pytest": ("testing/",),
    "redis": ("cache/redis.py",),
    "rich": ("cli/",),
    "sqlalchemy": (
        "db/",
        "auth/",
        "audit/",
        "stream/",
        "inventory/",
        "alerts/",
        "query/dashboards/",
        "identifiers/",
        "app/witness.py",
    ),
    "typer": ("cli/",),
    "uvicorn": ("app/", "api/uvicorn_protocol.py", "testing/"),
    "uvloop": ("app/",),
    "websockets": ("cli/",),
    "xxhash": ("core/repeat.py", "log/repeats.py", "log/kept.py", "store/cursor.py", "store/parquet/", "stream/aggregate/"),
    "yaml": ("app/", "cli/", "alerts/rule_file.py"),
    "zstandard": ("api/", "log/frame.py", "log/group.py", "log/sqlite/", "log/rabbitmq/"),
}


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_knows_offers_and_speaks_to(room: str) -> None:
    module = modules()[f"{room}/__init__.py"]
    docstring = ast.get_docstring(module) or ""

    assert [word for word in ("Knows:", "Offers:", "Speaks:") if f"\n{word}" not in docstring] == []
    assert len(module.body) == 1, f"{room}/__init__.py holds code; importing a room must cost nothing"


@pytest.mark.contract("HC-345")
def test_a_third_party_package_is_imported_only_where_it_belongs() -> None:
    strays: list[str] = []
    for place, module in modules().items():
        for name in {dotted.split(".")[0] for dotted in imports_of(module)}:
            if name in sys.stdlib_module_names or name == "weft" or name in ANYWHERE:
                continue
            if name not in PLACES:
                strays.append(f"{place} imports {name}, which has no place yet")
            elif not place.startswith(PLACES[name]):
                strays.append(f"{place} imports {name}, which belongs to {', '.join(PLACES[name])}")

    assert strays == []


@pytest.mark.contract("SF-12")
def test_http_frameworks_stay_out_of_the_rooms_that_store() -> None:
    found = [
        place
        for place, module in modules().items()
        if place.startswith(("core/", "log/", "store/", "cache/", "db/"))
        and {name.split(".")[0] for name in imports_of(module)} & {"fastapi", "starlette", "uvicorn", "httpx"}
    ]

    assert found == [], "these rooms know nothing of HTTP"


def test_no_file_grows_without_end() -> None:
    long = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }

    assert long == {}, f"a file of more than {MAX_LINES} lines holds two nouns; split it"


@pytest.mark.contract("HC-S40")
def test_nothing_evaluates_text_as_code_or_hands_it_to_a_shell() -> None:
    found: list[str] = []
    for place, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "compile", "__import__"}:
                    found.append(f"{place}:{node.lineno} calls {node.func.id}")
                if any(word.arg == "shell" and getattr(word.value, "value", True) for word in node.keywords):
                    found.append(f"{place}:{node.lineno} uses a shell")
            if isinstance(node, ast.Import | ast.ImportFrom) and "pickle" in imports_of(ast.Module([node], [])):
                found.append(f"{place}:{node.lineno} imports pickle")

    assert found == []


def test_only_the_edges_read_the_environment() -> None:
    readers = [
        f"{place}:{node.lineno}"
        for place, module in modules().items()
        if not place.startswith(("cli/", "app/"))
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]

    assert readers == [], "settings are handed in; nothing below app reads the environment"


def test_no_room_asks_the_machine_for_the_time() -> None:
    found: list[str] = []
    for place, module in modules().items():
        if place == "core/clock.py" or place.startswith("cli/"):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                spoken = f"{node.value.id}.{node.attr}"
                if spoken in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "time.sleep"}:
                    found.append(f"{place}:{node.lineno} uses {spoken}")

    assert found == [], "the clock is injected"


def test_words_that_say_nothing_name_no_file_and_no_class() -> None:
    banned = ("utils", "util", "helpers", "helper", "manager", "common", "service", "misc", "base_impl")
    files = [place for place in modules() if place.rsplit("/", 1)[-1].removesuffix(".py") in banned]
    classes = [
        f"{place}: {node.name}"
        for place, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Utils", "Handler", "Helper", "Impl"))
    ]

    assert files + classes == []
