"""`weft queries submit`: the SQL for Flink, what is left out and why, and what becomes of a gateway that refuses or is away."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Weft
from weft.cli.exits import Exit, Unreachable
from weft.cli.sql_gateway import SqlGateway
from weft.core.errors import Malformed

COUNT = {"name": "count", "from": "readings", "window": "1m", "select": {"n": "count"}}
WORST = {"name": "worst", "from": "readings", "window": "1m", "select": {"high": "p99(value)"}}


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    file = tmp_path / "queries.json"
    file.write_text(json.dumps([COUNT, WORST]))
    return file


def test_what_flink_cannot_answer_is_left_out_with_the_reason_and_fails(weft: Weft, queries: Path) -> None:
    done = weft("queries", "submit", str(queries), "--kafka", "kafka://kafka:9092/?prefix=lab.")

    assert done.code == Exit.FAILED
    assert "'topic' = 'lab.readings'" in done.out
    assert "INSERT INTO `analytics.count`" in done.out
    assert "analytics.worst" not in done.out
    assert "worst is left out: Flink cannot answer p99" in done.err


def test_a_log_that_is_not_on_kafka_is_refused(weft: Weft, queries: Path) -> None:
    done = weft("queries", "submit", str(queries))

    assert done.code == Exit.USAGE
    assert "not the address of a Kafka cluster" in done.err


class _Gateway(BaseHTTPRequestHandler):
    """Answers like Flink's: a statement is not ready at first, then has a row on its second page; DROP is refused."""

    asked = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/sessions":
            self._answer(200, {"sessionHandle": "s"})
        else:
            self._answer(200, {"operationHandle": "drop" if body["statement"].startswith("DROP") else "o"})

    def do_GET(self) -> None:
        columns = [{"name": "job id"}]
        if "drop" in self.path:
            trace = "java.lang.Error: outside\n\tat org.x\nCaused by: org.x.ParseException: Encountered DROP\n\tat org.y\n"
            self._answer(500, {"errors": ["Internal server error.", trace]})
        elif self.path.startswith("/v1/sessions/s/operations/o/result/0"):
            type(self).asked += 1
            following = "/v1/sessions/s/operations/o/result/1?rowFormat=JSON"
            ready = {"resultType": "PAYLOAD", "results": {"columns": columns, "data": []}, "nextResultUri": following}
            self._answer(200, ready if type(self).asked > 1 else {"resultType": "NOT_READY"})
        else:
            self._answer(200, {"resultType": "EOS", "results": {"columns": columns, "data": [{"fields": ["4711"]}]}})

    def do_DELETE(self) -> None:
        self._answer(200, {"status": "CLOSED"})

    def _answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


@pytest.fixture
def gateway() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_id_of_the_job_is_what_a_submission_answers(weft: Weft, gateway: str, queries: Path) -> None:
    queries.write_text(json.dumps(COUNT))

    done = weft("queries", "submit", str(queries), "--kafka", "kafka://kafka:9092/", "--gateway", gateway)

    assert (done.code, done.out) == (Exit.OK, "4711\n")


def test_a_refusal_says_flinks_own_reason(gateway: str) -> None:
    with pytest.raises(Malformed, match=r"ParseException: Encountered DROP"), SqlGateway(gateway) as session:
        session.run("DROP TABLE x")


def test_a_gateway_that_is_away_is_unreachable(free_port: int) -> None:
    with pytest.raises(Unreachable, match="does not answer"), SqlGateway(f"http://127.0.0.1:{free_port}"):
        pass
