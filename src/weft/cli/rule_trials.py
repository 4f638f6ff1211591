"""`weft rules test|backtest|diff|import|export`: trying rules out before they count, and carrying them in files."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from weft.cli.connect import Server
from weft.cli.definition import read_text, read_written_rules
from weft.cli.exits import Exit
from weft.cli.options import (
    ConfigOption,
    DataDirOption,
    Format,
    FormatOption,
    RowFormat,
    TokenOption,
    UrlOption,
)
from weft.cli.output import write_json, write_line, write_note, write_rows
from weft.core.errors import Invalid, Unavailable

_ROLE = "alerting"
_OUT_OF_ORDER_S = 1.0

RuleArgument = Annotated[
    str, typer.Argument(help="Name or id of a rule, or a file with one rule.", show_default=False, metavar="RULE")
]
StartOption = Annotated[
    str | None, typer.Option("--from", "--start", help="Events from this time on: 2026-01-31T12:00:00Z.", show_default=False)
]
EndOption = Annotated[str | None, typer.Option("--to", "--end", help="Events before this time.", show_default=False)]
OriginOption = Annotated[str, typer.Option("--origin", help="'store' for all that is kept, 'log' for what the log holds.")]


def try_out(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files of tests, YAML with `rules` and `tests`; `rules` may name a file beside it.", show_default=False
        ),
    ],
    *,
    out_of_order_s: Annotated[
        float, typer.Option("--out-of-order-s", min=0, help="As stream.out_of_order_s.")
    ] = _OUT_OF_ORDER_S,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show everything that happened.")] = False,
) -> None:
    """Test rules with events of their own. No server is needed; ends with 1 where a test fails."""
    from weft.alerts.rule_test import read_tests, run_test
    from weft.core.times import SECOND_US

    failed = total = 0
    for file in files:
        rules, written = _read_tests(file)
        for test in read_tests(written):
            outcome = run_test(test, rules, out_of_order_us=int(out_of_order_s * SECOND_US))
            total += 1
            failed += not outcome.passed
            write_line(f"{'passed' if outcome.passed else 'FAILED'}  {file}: {test.name}")
            for mismatch in outcome.mismatches:
                write_line(f"        at {mismatch.at} of rule '{mismatch.rule}'")
                write_line(f"          expected: {'; '.join(mismatch.expected) or 'no alert'}")
                write_line(f"          found:    {'; '.join(mismatch.found) or 'no alert'}")
            if verbose:
                for happening in outcome.happenings:
                    write_line(f"        {_sentence(_told(happening))}")
    write_note(f"Tests: {total}, failed: {failed}.")
    if failed:
        raise typer.Exit(Exit.FAILED)


def backtest(
    rule: RuleArgument,
    *,
    start: StartOption = None,
    end: EndOption = None,
    origin: OriginOption = "store",
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say which alerts a rule would have raised over history. Ctrl-C stops it."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        body = {"rule": _definition(server, rule), "start": start, "end": end, "origin": origin}
        for line in _lines(server, "/api/v1/rules/backtest", body):
            if "done" in line:
                _write_done(line["done"], style)


def compare(
    before: RuleArgument,
    after: RuleArgument,
    *,
    start: StartOption = None,
    end: EndOption = None,
    origin: OriginOption = "store",
    style: FormatOption = Format.TABLE,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what a change of a rule would have changed over history."""
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        past = {"start": start, "end": end, "origin": origin}
        body = {"before": _definition(server, before), "after": _definition(server, after), **past}
        for line in _lines(server, "/api/v1/rules/diff", body):
            if "difference" in line:
                _write_difference(line["difference"], style)


def import_rules(
    file: Annotated[Path, typer.Argument(help="YAML: an export, or a Prometheus rule file; - is standard input.")],
    *,
    topic: Annotated[str, typer.Option("--topic", help="The topic that Prometheus' metrics are in.")] = "events",
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Which field a label is, LABEL=FIELD; may be repeated.", show_default="instance=source"),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="Whom the rules of Prometheus tell; may be repeated.", show_default=False),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change rules of the same name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Import rules from a file: all of them, or none where one means nothing."""
    body: dict[str, Any] = {
        "text": read_text(file),
        "topic": topic,
        "replace": replace,
        "dry_run": dry_run,
        "channels": channel or [],
    }
    if label:
        body["labels"] = dict(_pair(entry) for entry in label)
    with Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server:
        answer = server.ask("POST", "/api/v1/rules/import", json=body)
    would = "would be " if dry_run else ""
    for what in ("created", "changed", "unchanged"):
        for name in answer[what]:
            write_line(f"{name}: {would}{what}")
    for remark in answer["remarks"]:
        write_note(f"{remark['name']}: {remark['what']}")
    for refusal in answer["refusals"]:
        write_note(f"{refusal['name']}: left out: {refusal['why']}  [{refusal['expression']}]")


def export_rules(
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Write every rule but those that come with Weft as YAML."""
    with (
        Server.find(_ROLE, url=url, token=token, config=config, data_dir=data_dir) as server,
        server.stream("/api/v1/rules/export", headers={"Accept": "application/yaml"}) as answer,
    ):
        write_line(answer.read().decode().rstrip("\n"))


def _read_tests(file: Path) -> tuple[list[Any], object]:
    """The rules and the tests of a file. Raises Invalid."""
    from weft.alerts.rule_file import read_rule_file, read_rules, read_yaml

    written = read_yaml(read_text(file))
    if not isinstance(written, Mapping) or "tests" not in written:
        raise Invalid(f"{file} holds no list called 'tests'", field="tests")
    members = cast("Mapping[str, object]", written)
    named = members.get("rules")
    if isinstance(named, str):
        return read_rule_file(read_text(file.parent / named)).rules, members["tests"]
    return read_rules({"rules": named}), members["tests"]


def _definition(server: Server, rule: str) -> dict[str, Any]:
    """The rule of a file, or the one of that name on the server."""
    if Path(rule).exists() or rule.endswith((".yaml", ".yml", ".json")):
        rules = read_written_rules(read_text(Path(rule)))
        if len(rules) != 1:
            raise Invalid(f"{rule} holds {len(rules)} rules; this takes one", field="rule")
        return rules[0].to_written()
    found: dict[str, Any] = server.ask("GET", f"/api/v1/rules/{rule}")["data"]
    kept = ("id", "version", "owner", "created_at", "updated_at")
    return {name: value for name, value in found.items() if name not in kept}


def _lines(server: Server, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    with server.stream(path, method="POST", json=body, headers={"Accept": "application/x-ndjson"}) as answer:
        for text in answer.iter_lines():
            line = json.loads(text)
            if "error" in line:
                raise Unavailable(line["error"]["message"])
            if "progress" in line and sys.stderr.isatty():
                write_note(f"{line['progress']['events']} of {line['progress']['of']} events")
            yield line


def _write_done(done: dict[str, Any], style: Format) -> None:
    if style is Format.JSON:
        write_json(done)
        return
    write_rows([_row(alert) for alert in done["alerts"]], style="table")
    write_note(
        f"Alerts: {len(done['alerts'])}. Notifications: {done['notices']}. Events read: {done['events']} in {done['took_s']} s."
    )
    if not done["is_whole"]:
        write_note("Not all events were read: stream.backtest_max_events is the most.")


def _write_difference(difference: dict[str, Any], style: Format) -> None:
    if style is Format.JSON:
        write_json(difference)
        return
    rows = [{"what": "only before", **_row(alert)} for alert in difference["only_before"]]
    rows += [{"what": "only after", **_row(alert)} for alert in difference["only_after"]]
    for pair in difference["changed"]:
        rows += [{"what": "before", **_row(pair["before"])}, {"what": "after", **_row(pair["after"])}]
    write_rows(rows, style=RowFormat.TABLE)
    write_note(
        f"Alerts: {difference['same']} the same, {len(difference['changed'])} changed, "
        f"{len(difference['only_before'])} only before, {len(difference['only_after'])} only after."
    )


def _row(alert: dict[str, Any]) -> dict[str, Any]:
    shown = {name: alert[name] for name in ("fired", "ended", "level", "notices")}
    return {**alert["key"], **shown, "ended": alert["ended"] or "(goes on)"}


def _told(happening: Any) -> dict[str, Any]:
    from weft.alerts.backtest import told

    return told(happening)


def _sentence(told: dict[str, Any]) -> str:
    about = "/".join(str(value) for value in told["key"].values())
    values = ", ".join(f"{name} {value}" for name, value in told["values"].items())
    return " ".join(
        part for part in (told["at"], about, told["change"], told["level"] or "", f"({values})" if values else "") if part
    )


def _pair(entry: str) -> tuple[str, str]:
    label, equals, field = entry.partition("=")
    if not equals or not label or not field:
        raise Invalid(f"'{entry}' is no LABEL=FIELD", field="label")
    return label, field
