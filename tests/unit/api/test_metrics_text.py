"""What Prometheus reads: parsable, complete, under the documented names."""

import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from weft.api.metrics import BUCKETS_S, Durations, Metrics


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text, _ = metrics.exposition()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.count_events("events", "accepted", 10, 0.004)
    metrics.count_events("events", "accepted", 5, 0.3)
    metrics.count_events("events", "rejected", 2)
    metrics.meter("POST", "/events").observe(201, 0.002)
    metrics.meter("POST", "/events").observe(422, 0.001)
    metrics.meter("GET", "/events/{event_id}").observe(200, 20.0)
    metrics.active_connections = 3
    metrics.add_gauge("queue_depth", "Events a group has not read.", ["topic"], lambda: [(("events",), 7)])
    metrics.add_counter("log_repeats_total", "Repeats.", [], lambda: [((), 4)])
    return metrics


@pytest.mark.contract("SF-283", "SF-291")
def test_events_are_counted_by_topic_and_outcome(metrics: Metrics) -> None:
    found = read(metrics)
    assert found["weft_events_total", (("outcome", "accepted"), ("topic", "events"))] == 15
    assert found["weft_events_total", (("outcome", "rejected"), ("topic", "events"))] == 2


@pytest.mark.contract("SF-284")
def test_event_durations_are_a_histogram_of_seconds(metrics: Metrics) -> None:
    found = read(metrics)
    assert found["weft_events_duration_seconds_count", ()] == 15
    assert found["weft_events_duration_seconds_sum", ()] == pytest.approx(10 * 0.004 + 5 * 0.3)
    assert found["weft_events_duration_seconds_bucket", (("le", "0.005"),)] == 10
    assert found["weft_events_duration_seconds_bucket", (("le", "+Inf"),)] == 15


@pytest.mark.contract("SF-285", "SF-286")
def test_gauges_show_what_is_so_at_the_moment_of_asking(metrics: Metrics) -> None:
    assert read(metrics)["weft_active_connections", ()] == 3
    metrics.active_connections = 1
    found = read(metrics)
    assert found["weft_active_connections", ()] == 1
    assert found["weft_queue_depth", (("topic", "events"),)] == 7
    assert found["weft_log_repeats_total", ()] == 4


@pytest.mark.contract("SF-288", "SF-289")
def test_requests_are_counted_by_method_route_and_status(metrics: Metrics) -> None:
    found = read(metrics)
    assert found["weft_http_requests_total", (("method", "POST"), ("route", "/events"), ("status", "201"))] == 1
    assert found["weft_http_requests_total", (("method", "POST"), ("route", "/events"), ("status", "422"))] == 1
    slow = (("method", "GET"), ("route", "/events/{event_id}"))
    assert found["weft_http_request_duration_seconds_bucket", (("le", "10.0"), *slow)] == 0
    assert found["weft_http_request_duration_seconds_count", slow] == 1


@pytest.mark.contract("SF-283", "SF-284", "SF-285", "SF-288", "SF-289")
def test_another_prefix_serves_the_names_older_dashboards_ask_for() -> None:
    metrics = Metrics("streamflow")
    metrics.count_events("events", "accepted", 1, 0.1)
    metrics.meter("GET", "/").observe(200, 0.1)
    names = {name for name, _ in read(metrics)}
    assert {
        "streamflow_events_total",
        "streamflow_events_duration_seconds_count",
        "streamflow_active_connections",
        "streamflow_http_requests_total",
        "streamflow_http_request_duration_seconds_sum",
    } <= names


@pytest.mark.contract("SF-292", "SF-340")
def test_the_process_and_its_machine_are_there(metrics: Metrics) -> None:
    found = {name for name, _ in read(metrics)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"} <= found
    assert {"weft_host_memory_available_bytes", "weft_host_load1", "weft_host_cpu_seconds_total"} <= found


def test_who_accepts_openmetrics_gets_it(metrics: Metrics) -> None:
    text, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "weft_events" in {family.name for family in parse_openmetrics(text.decode())}


@pytest.mark.contract("SF-282", "SF-290")
def test_the_text_passes_the_linter_of_prometheus(metrics: Metrics) -> None:
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families), "every name appears once"
    for family in families:
        assert family.documentation
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples), family.name
        if family.type == "gauge":
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket")), family.name
    promtool = shutil.which("promtool")
    if promtool is not None:
        checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr.decode() + checked.stdout.decode()


@pytest.mark.parametrize(("duration_s", "bound"), [(0.0005, "0.0005"), (0.00051, "0.001"), (10.0, "10.0"), (10.1, "+Inf")])
def test_a_bucket_holds_what_is_at_or_below_its_bound(duration_s: float, bound: str) -> None:
    durations = Durations()
    durations.observe(duration_s)
    told = durations.buckets()
    assert next(name for name, number in told if number) == bound
    assert told[-1] == ("+Inf", 1)
    assert len(told) == len(BUCKETS_S) + 1
