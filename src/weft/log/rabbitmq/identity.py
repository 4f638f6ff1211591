"""The name of a log: the first message of a small stream that never forgets. Whoever comes first has written it."""

import secrets

from weft.log.rabbitmq.broker import Link, Publisher
from weft.log.rabbitmq.tail import write


async def find_identity(link: Link, publisher: Publisher, stream: str, *, replicas: int, timeout_s: float) -> str:
    """The name a log was given when it was first asked for. Raises Unavailable or TimedOut."""
    await link.declare_stream(stream, {"x-initial-cluster-size": replicas})
    # Offered every time: a stream cannot be asked whether it is empty, and only its first message counts.
    await write(publisher, stream, secrets.token_hex(16).encode(), "asking which log this is")
    async with link.stream(stream, "first", prefetch=1) as reader:
        first = await reader.next(timeout_s=timeout_s)
    return f"rabbitmq:{first.body.decode()}"
