"""`weft config show` and the file `weft init` writes."""

import re
from pathlib import Path

import yaml

from weft.app.config import load_configuration
from weft.app.show import MASK, example, show
from weft.app.tree import fields, variable_of


def test_every_field_is_shown_with_where_its_value_came_from() -> None:
    configuration = load_configuration(environ={"LOG_LEVEL": "ERROR"})

    rows = {row["field"]: row for row in show(configuration)}

    assert rows.keys() == {".".join(path) for path in fields()}
    assert (rows["api.log_level"]["value"], rows["api.log_level"]["origin"]) == ("ERROR", "LOG_LEVEL")
    assert (rows["app.host"]["value"], rows["app.host"]["origin"]) == ("127.0.0.1", "default")
    assert rows["app.host"]["variable"] == "WEFT_APP__HOST"


def test_changed_shows_only_what_somebody_gave() -> None:
    configuration = load_configuration(environ={"LOG_LEVEL": "ERROR"}, flags={"app.port": 1})

    assert [row["field"] for row in show(configuration, changed=True)] == ["app.port", "api.log_level"]


def test_secrets_are_masked_everywhere() -> None:
    environ = {
        "JWT_SECRET_KEY": "hunter2hunter2",
        "WEFT_AUTH__ADMIN_PASSWORD": "hunter2hunter2",
        "WEFT_AUTH__ENCRYPTION_KEYS": "hunter2hunter2,hunter2other",
        "DATABASE_URL": "postgresql://weft:hunter2hunter2@db/weft",
    }

    text = str(show(load_configuration(environ=environ)))

    assert "hunter2" not in text
    assert f"postgresql://weft:{MASK}@db/weft" in text


def test_the_example_file_holds_every_field_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(example(), encoding="utf-8")

    assert load_configuration(environ={}, file=file).settings == load_configuration(environ={}).settings
    for path in fields():
        assert f"{path[-1]}: " in file.read_text(encoding="utf-8"), variable_of(path)


def test_the_example_file_without_its_comment_signs_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"^( +)#(?=\w+: )", r"\1", example(), flags=re.MULTILINE), encoding="utf-8")
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["app"]["host"] == "127.0.0.1"

    assert load_configuration(environ={}, file=file).settings == load_configuration(environ={}).settings
