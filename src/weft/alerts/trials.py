"""What trying rules out needs: history to try them on, and how many may be tried at a time."""

import asyncio
from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection

from weft.alerts.backtest import Backtest
from weft.alerts.compile import compile_rule
from weft.alerts.rule import RuleDefinition
from weft.core.clock import Clock
from weft.log.port import Log
from weft.store.port import EventStore
from weft.stream.history import History, Origin
from weft.stream.settings import StreamSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrials:
    """Collaborators of the routes that try rules out, at `app.state.rule_trials`."""

    log: Log
    store: EventStore
    clock: Clock
    settings: StreamSettings
    running: asyncio.Semaphore

    @classmethod
    def of(cls, *, log: Log, store: EventStore, clock: Clock, settings: StreamSettings) -> "RuleTrials":
        """Over a log and a store; as many at a time as backtests of queries may run."""
        return cls(log=log, store=store, clock=clock, settings=settings, running=asyncio.Semaphore(settings.backtests))

    def backtest(self, definition: RuleDefinition) -> Backtest:
        """A backtest of a rule. Raises Invalid where the rule means nothing, or judges what has no history."""
        bound_us = self.settings.out_of_order_us(definition.from_)
        return Backtest(compile_rule(definition, "backtest"), bound_us=bound_us, limit_bytes=self.settings.state_limit_bytes)

    async def history(self, topic: str, origin: Origin) -> History:
        """The past of a topic, looked at."""
        history = History(topic, origin, log=self.log, store=self.store)
        await history.look()
        return history


def rule_trials(connection: HTTPConnection) -> RuleTrials:
    """The collaborators in the application that serves this request."""
    return cast("RuleTrials", connection.app.state.rule_trials)
