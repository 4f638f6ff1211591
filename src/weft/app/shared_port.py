"""A port that several processes listen on: what may be asked there, and what only makes sense of one process."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from weft.api.errors import JSON, error_body, problem_of
from weft.app.process import Asgi
from weft.core.clock import Clock
from weft.core.errors import NotFound
from weft.core.ids import new_id


def behind_shared_port(app: Asgi, clock: Clock) -> Asgi:
    """The application without /metrics: who scraped it there would read the counters of now this process and now that one."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/metrics":
            await app(scope, receive, send)
            return
        problem = problem_of(
            NotFound(
                "several processes share this port and each counts for itself; scrape every process at the address that "
                "`weft status` shows, or on the ports from app.metrics_port on"
            )
        )
        body = error_body(problem, now_us=clock.now_us(), correlation=new_id(clock.now_us()))
        await Response(body, problem.status, media_type=JSON)(scope, receive, send)

    return answer
