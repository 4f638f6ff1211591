"""`weft queries submit`: has another engine answer the queries: Apache Flink, over the log on Kafka."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weft.cli.connect import Server, read_configuration
from weft.cli.definition import read_definitions
from weft.cli.exits import Exit
from weft.cli.options import ConfigOption, DataDirOption, TokenOption, UrlOption
from weft.cli.output import write_line, write_note
from weft.cli.queries import query_pages

if TYPE_CHECKING:
    from weft.app.settings import Settings
    from weft.stream.engine.plan import Plan
    from weft.stream.flink.statements import Script


class Engine(StrEnum):
    """Who answers."""

    FLINK = "flink"


def submit(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="File with queries, YAML or JSON; - is standard input.", show_default="those of the running server"
        ),
    ] = None,
    *,
    engine: Annotated[Engine, typer.Option("--engine", help="Who shall answer them.")] = Engine.FLINK,
    gateway: Annotated[
        str | None,
        typer.Option(
            "--gateway", help="REST address of Flink's SQL gateway, such as http://host:8083.", show_default="write the SQL"
        ),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", help="The log as Flink reaches it: kafka://host:port/.", show_default="the configured log"),
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Have Flink answer the queries, as one job of plain SQL over Kafka; without --gateway, write that SQL.

    Do not let the role analytics answer the same queries. Those that Flink cannot answer as Weft does are left out, with the
    reason; exits 1 then.
    """
    from weft.stream.engine.plan import plan
    from weft.stream.query import read_query

    if file is None:
        with Server.find("analytics", url=url, token=token, config=config, data_dir=data_dir) as server:
            asked = [(query["definition"], query["version"]) for query in query_pages(server, {})]
    else:
        asked = [(definition, 1) for definition in read_definitions(file, {})]
    plans = [plan(read_query(definition), version) for definition, version in asked]
    script = _script(plans, read_configuration(config, data_dir).settings, kafka)
    if gateway is None:
        write_line(script.written())
    elif script.answered:
        write_line(_hand_over(script.statements, gateway))
    for query, reason in script.refused.items():
        write_note(f"{query} is left out: {reason}")
    if script.refused:
        raise typer.Exit(Exit.FAILED)


def _script(plans: "Sequence[Plan]", settings: "Settings", kafka: str | None) -> "Script":
    from weft.app.resources import log_url
    from weft.core.clock import SystemClock
    from weft.log.kafka.address import parse_address
    from weft.stream.flink.kafka import KafkaTables
    from weft.stream.flink.statements import script

    address = parse_address(kafka or log_url(settings.app), settings.log.kafka)
    tables = KafkaTables(brokers=address.bootstrap, prefix=address.settings.prefix, idle_s=settings.stream.orphaned_partition_s)
    return script(plans, tables, bound_us=settings.stream.out_of_order_us, activated_us=SystemClock().now_us())


def _hand_over(statements: Sequence[str], gateway: str) -> str:
    """Run the statements; returns the id of Flink's job."""
    from weft.cli.sql_gateway import SqlGateway

    rows: list[dict[str, Any]] = []
    with SqlGateway(gateway) as session:
        for statement in statements:
            rows = session.run(statement)
    return str(rows[0]["job id"])
