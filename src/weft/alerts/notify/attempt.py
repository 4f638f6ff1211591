"""One try to send one message: what came of it, and when to try again."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from weft.alerts.notify.message import Message
from weft.alerts.notify.port import Channel
from weft.alerts.notify.settings import NotifySettings
from weft.alerts.notify.shorten import one_line
from weft.auth.secrets import MASK
from weft.core.errors import Busy, Refused, Unavailable, WeftError

logger = logging.getLogger(__name__)

Outcome = Literal["delivered", "refused", "delayed"]

_SAID_CHARS: Final = 500
_MOST_DOUBLINGS: Final = 20
_SHORTEST_SECRET: Final = 4
_JITTER: Final = 0.2
_CHANCE: Final = secrets.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one try. `said` is what the other side said, without any secret."""

    outcome: Outcome
    said: str
    retry_after_s: float = 0.0


async def attempt(channel: Channel, message: Message, *, hidden: Sequence[str], timeout_s: float) -> Attempt:
    """Send a message, once. Never raises but when cancelled: whatever goes wrong is an outcome."""
    try:
        async with asyncio.timeout(timeout_s):
            said = await channel.send(message)
    except Refused as refused:
        return Attempt(outcome="refused", said=_without(hidden, refused.message))
    except (Unavailable, Busy) as away:
        return Attempt(outcome="delayed", said=_without(hidden, away.message), retry_after_s=away.retry_after_s)
    except TimeoutError:
        return Attempt(outcome="delayed", said=f"no answer within {timeout_s:g} s")
    except WeftError as unreadable:
        return Attempt(outcome="delayed", said=_without(hidden, unreadable.message))
    except Exception as unexpected:  # a fault of one kind of channel must not stop the others; its text may hold anything
        logger.warning("channel_failed", extra={"kind": channel.kind, "error": type(unexpected).__name__})
        return Attempt(outcome="delayed", said=f"the channel failed with {type(unexpected).__name__}")
    return Attempt(outcome="delivered", said=_without(hidden, said))


def wait_s(
    attempts: int,
    *,
    asked_s: float = 0.0,
    settings: NotifySettings,
    chance: Callable[[], float] = _CHANCE.random,
) -> float:
    """How long to wait after so many failures in a row: doubling up to a limit, a fifth more or less by chance so that many do
    not come back at once, and never shorter than the other side asked for."""
    doubled = settings.first_retry_s * 2 ** min(attempts - 1, _MOST_DOUBLINGS)
    spread = 1 - _JITTER + 2 * _JITTER * chance()
    return max(min(doubled, settings.longest_retry_s) * spread, asked_s)


def _without(hidden: Sequence[str], text: str) -> str:
    for secret in hidden:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return one_line(text, _SAID_CHARS)
