"""Put an event into a log that no store can take, as a program without our doors could."""

import asyncio
from dataclasses import replace

import numpy as np

from tests.system.deployment import QUICK, Deployment
from weft import __version__
from weft.app.config import load_configuration
from weft.app.resources import Needs, Resources
from weft.core.clock import SystemClock
from weft.testing.factories import make_batch

NEVER_US = 2**62
"""A time that no calendar has."""


def put_poison(deployment: Deployment) -> None:
    """Append one such event to the topic `events`."""
    settings = load_configuration(
        flags={"app.data_dir": deployment.data_dir}, environ={**QUICK, **deployment.environment}
    ).settings

    async def append() -> None:
        needs = Needs(service="poison", appends=True)
        async with Resources(settings, needs, clock=SystemClock(), version=__version__) as resources:
            log = await resources.log()
            await log.append(replace(make_batch(1), times_us=np.array([NEVER_US], dtype=np.int64)))

    asyncio.run(append())
