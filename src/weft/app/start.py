"""Starting Weft: from a configuration to a served application, and back to nothing."""

import asyncio
import gc
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

from weft import __version__
from weft.api.logger import configure_logging
from weft.app.application import Application, compose, metrics_alone
from weft.app.config import Configuration
from weft.app.crew import make_crew
from weft.app.leash import Leash
from weft.app.local_key import make_local_key
from weft.app.plan import Plan, check_log_is_there, make_plan
from weft.app.process import Stop, WorkerFailed, bind, running, serving, url_of
from weft.app.resources import Resources
from weft.app.run_file import RunFile, announced
from weft.app.settings import Settings
from weft.app.shared_port import behind_shared_port
from weft.app.supervise import SUPERVISOR, Supervisor
from weft.app.welcome import Welcome, welcome_of
from weft.auth.bootstrap import make_first_administrator
from weft.core.clock import Clock, SystemClock
from weft.core.errors import Invalid

logger = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"


def run(configuration: Configuration, *, welcome: Callable[[Welcome], None], leash: int | None = None) -> None:
    """Run what the configuration asks for until a signal ends it; `welcome` is called once the doors are open.

    `leash` is the descriptor by which a supervisor holds this process: then this is one of its crew, and welcomes nobody.
    Raises a WeftError with one sentence where the process cannot start or cannot go on.
    """
    settings = configuration.settings
    if leash is None and settings.app.processes is not None:
        _run_crew(configuration, welcome)
        return
    gc.freeze()  # what was imported is no garbage; to find that out takes longer than to open the log
    plan = make_plan(settings)
    check_log_is_there(plan, settings)
    _configure_logging(settings, plan.needs.service)
    held = Leash.of(leash) if leash is not None else None
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_run(configuration, plan, SystemClock(), held.tell if held else welcome, held))
    finally:
        gc.unfreeze()  # else DuckDB says at exit that it leaked everything


def _run_crew(configuration: Configuration, welcome: Callable[[Welcome], None]) -> None:
    crew = make_crew(configuration.settings)
    _configure_logging(configuration.settings, SUPERVISOR)
    _make_data_dir(configuration.settings.app.data_dir)
    asyncio.run(Supervisor(configuration, crew, SystemClock()).run(welcome))


def _configure_logging(settings: Settings, service: str) -> None:
    chosen = settings.api.model_copy(update={"log_level": "DEBUG"}) if settings.app.debug else settings.api
    configure_logging(chosen, service=service)
    if not settings.app.debug:
        for talkative in ("alembic", "uvicorn.error"):  # they tell at INFO that they do what they always do
            logging.getLogger(talkative).setLevel(logging.WARNING)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:  # uvloop knows no Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _run(
    configuration: Configuration, plan: Plan, clock: Clock, welcome: Callable[[Welcome], None], leash: Leash | None
) -> None:
    settings = configuration.settings
    stop = Stop()
    failures: list[WorkerFailed] = []

    def failed(failure: WorkerFailed) -> None:
        failures.append(failure)
        stop.set()

    with stop.listening(), ExitStack() as sockets:
        if leash is not None:
            sockets.enter_context(leash.watched(stop))
        listener = sockets.enter_context(bind(plan.host, plan.port, shared=settings.app.share_port))
        own = sockets.enter_context(bind(LOOPBACK, 0)) if settings.app.share_port else None
        aside = None
        if settings.app.metrics_port is not None and settings.api.metrics_enabled:
            aside = sockets.enter_context(bind(plan.host, settings.app.metrics_port))
        _make_data_dir(settings.app.data_dir)
        async with Resources(settings, plan.needs, clock=clock, version=settings.app.version or __version__) as resources:
            application = await compose(resources, plan)
            made = await make_first_administrator(await resources.auth())
            await make_local_key(settings.app.data_dir, await resources.auth())
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(running(application.parts.workers, failed))
                if aside is not None:
                    await stack.enter_async_context(serving(metrics_alone(resources.metrics), aside, settings))
                door = application.asgi
                if own is not None:
                    await stack.enter_async_context(serving(application.asgi, own, settings))
                    door = behind_shared_port(application.asgi, clock)
                await stack.enter_async_context(serving(door, listener, settings))
                run_file = _run_file(plan, listener, own, clock)
                with announced(settings.app.data_dir, run_file):
                    _tune_interpreter()
                    resources.health.started()
                    welcome(
                        welcome_of(
                            configuration,
                            service=plan.needs.service,
                            roles=plan.role_names,
                            version=resources.version,
                            url=run_file.url,
                            made=made,
                        )
                    )
                    await stop.wait()
                    await _drain(resources, application)
    if failures:
        raise failures[0]


def _make_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as refused:
        raise Invalid(f"the data folder {folder} cannot be used: {refused.strerror}", field="app.data_dir") from refused


def _tune_interpreter() -> None:
    """What is loaded by now stays for ever: leave it out of every collection, and collect less often.

    Measured on a busy machine: a tenth less CPU for each event of a batch, give or take as much.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # A thread that is back from a flush waits this long for the loop: 0.5 ms, not 5, nearly halved the p99 of single appends.
    sys.setswitchinterval(0.0005)


async def _drain(resources: Resources, application: Application) -> None:
    """Say that the end is near, give load balancers time to notice, and end what would never end by itself."""
    logger.info("draining")
    resources.health.draining()
    await asyncio.sleep(resources.settings.app.drain_notice_s)
    for told in application.parts.draining:
        told()


def _run_file(plan: Plan, listener: socket.socket, own: socket.socket | None, clock: Clock) -> RunFile:
    return RunFile(
        service=plan.needs.service,
        roles=plan.role_names,
        url=url_of(plan.host, listener.getsockname()[1]),
        pid=os.getpid(),
        started_at_us=clock.now_us(),
        own_url=url_of(LOOPBACK, own.getsockname()[1]) if own is not None else None,
    )
