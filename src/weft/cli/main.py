"""The program `weft`: its commands in the order of its help, and what happens to errors."""

import sys

import typer

from weft.cli import (
    alerts,
    audit,
    channels,
    configure,
    db,
    dead_letters,
    erase,
    events,
    health,
    identifiers,
    instruments,
    keys,
    queries,
    rule_trials,
    rules,
    start,
    store,
    submit,
    users,
    verify,
)
from weft.cli.exits import HELP, Exit, code_of
from weft.core.errors import WeftError

app = typer.Typer(
    name="weft",
    help="Weft takes in events, keeps what it acknowledged, and gives it back.\n\nBegin with `weft start`.",
    epilog=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("start")(start.start)
app.command("status")(health.status)
app.command("health")(health.health)
app.command("send-event")(events.send_event)
app.command("query")(events.query)
app.command("tail")(events.tail)
app.command("verify")(verify.verify)
app.command("erase")(erase.erase)
app.command("init")(configure.init)
app.command("version")(configure.version)
queries.app.command("submit")(submit.submit)
app.add_typer(queries.app, name="queries")
rules.app.command("test")(rule_trials.try_out)
rules.app.command("backtest")(rule_trials.backtest)
rules.app.command("diff")(rule_trials.compare)
rules.app.command("import")(rule_trials.import_rules)
rules.app.command("export")(rule_trials.export_rules)
app.add_typer(rules.app, name="rules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(channels.app, name="channels")
app.add_typer(instruments.app, name="instruments")
app.add_typer(identifiers.app, name="identifiers")
app.add_typer(dead_letters.app, name="dlq")
app.add_typer(store.app, name="store")
app.add_typer(db.app, name="db")
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(configure.app, name="config")


def main() -> None:
    """Run the program and exit. An error is a sentence on standard error, never a trace."""
    try:
        app(prog_name="weft")
    except WeftError as error:
        typer.echo(f"weft: {error.message}", err=True)
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(Exit.OK)
    except OSError as refused:
        typer.echo(f"weft: {refused.filename or 'the system'}: {refused.strerror}", err=True)
        sys.exit(Exit.FAILED)
