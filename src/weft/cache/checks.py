"""What the verdict asks of the cache."""

from weft.cache.circuit import Circuit
from weft.core.errors import Unavailable
from weft.core.verdict import Check, Finding, Level

ANSWERS = "cache.answers"


def checks(cache: Circuit) -> dict[str, Check]:
    """The checks of this room, by code."""

    async def answers() -> Finding:
        parameters = {"reach": cache.reach}
        try:
            await cache.probe()
        except Unavailable as away:
            why = f"The cache is away ({away.message}): each process counts rate limits by itself until it is back."
            return Finding(code=ANSWERS, level=Level.LOOK, why=why, parameters=parameters)
        shared = "This process shares its limits with no other." if cache.reach == "process" else "The cache answers."
        return Finding(code=ANSWERS, level=Level.FINE, why=shared, parameters=parameters)

    return {ANSWERS: answers}
