"""Hands statements to Flink's SQL gateway over its REST interface, and waits for what becomes of them."""

import time
from typing import Any, Final, Self

from weft.cli.exits import Unreachable
from weft.core.errors import Malformed, TimedOut

_PAUSE_S: Final = 0.2
_CAUSE: Final = "Caused by: "


class SqlGateway:
    """One session on a SQL gateway. What statements declare lives as long as the session, jobs live on."""

    def __init__(self, url: str, *, timeout_s: float = 120.0) -> None:
        import httpx

        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._client = httpx.Client(base_url=f"{self._url}/v1", timeout=timeout_s)
        self._session = ""

    def __enter__(self) -> Self:
        self._session = f"/sessions/{self._ask('POST', '/sessions', {})['sessionHandle']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", self._session)
        finally:
            self._client.close()

    def run(self, statement: str) -> list[dict[str, Any]]:
        """Run one statement; returns its rows, such as the id of the job it began.

        Raises Malformed with Flink's own reason where it is refused, TimedOut, Unreachable.
        """
        operation = self._ask("POST", f"{self._session}/statements", {"statement": statement})["operationHandle"]
        give_up_s = time.monotonic() + self._timeout_s
        place: str | None = f"{self._session}/operations/{operation}/result/0"
        rows: list[dict[str, Any]] = []
        while place is not None:
            answer = self._ask("GET", place, parameters={"rowFormat": "JSON"})
            if answer["resultType"] == "NOT_READY":
                if time.monotonic() > give_up_s:
                    raise TimedOut(f"Flink's SQL gateway at {self._url} did not finish a statement in {self._timeout_s:g} s")
                time.sleep(_PAUSE_S)
                continue
            names = [column["name"] for column in answer["results"]["columns"]]
            rows += [dict(zip(names, row["fields"], strict=True)) for row in answer["results"]["data"]]
            following = answer.get("nextResultUri")
            place = following.removeprefix("/v1").partition("?")[0] if following else None
        return rows

    def _ask(self, method: str, path: str, body: object = None, parameters: dict[str, str] | None = None) -> Any:
        import httpx

        try:
            answer = self._client.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as failure:
            raise Unreachable(f"Flink's SQL gateway at {self._url} does not answer: {failure}") from failure
        if answer.is_success:
            return answer.json() if answer.content else None
        raise Malformed(f"Flink refused: {_reason(answer.text)}")


def _reason(text: str) -> str:
    """The innermost cause of what Flink says, which is where it says what is wrong."""
    lines = [line.strip() for line in text.replace("\\n", "\n").replace("\\t", "\t").splitlines()]
    said = [line for line in lines if line and not line.startswith(("at ", "..."))]
    causes = [line.removeprefix(_CAUSE) for line in said if line.startswith(_CAUSE)]
    return (causes or said or [text])[-1][:1000]
