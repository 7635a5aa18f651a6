"""docs/metrics.md, the dashboard and the alert rules name only series that /metrics really has, and leave out none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from chatapi.monitoring.alert_list import ALERTS
from chatapi.monitoring.documents import documents
from chatapi.monitoring.metric_list import METRICS
from chatapi.quality import monitoring as quality
from instances.limits import disk_space
from tests.requirements import cannot_run

ROOT = Path(settings.BASE_DIR)
CASES = Path(__file__).with_name("alerts_test.yml")
SELECTOR = re.compile(r"\b(chatapi_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=|!=)"([^"]*)"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance", "le"}


def families(client: Client) -> list[Metric]:
    return list(text_string_to_metric_families(client.get("/metrics").content.decode()))


def expressions() -> dict[str, str]:
    """Returns the expressions of all alerts and panels, by name."""
    panels = [
        panel
        for panel in json.loads(documents()["deploy/grafana/chatapi.json"])["panels"]
        if "targets" in panel
    ]
    return {alert.name: alert.expression for alert in ALERTS} | {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels
        for target in panel["targets"]
    }


@pytest.mark.parametrize("path", documents())
def test_the_files_are_those_of_the_lists(path: str) -> None:
    assert (ROOT / path).read_text() == documents()[path], f"If the change is intended: {quality.RENEW}"


def test_make_check_finds_a_file_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["monitoring", "--renew"])
    assert quality.main() == 0
    monkeypatch.setattr("sys.argv", ["monitoring"])
    assert quality.main() == 0
    (tmp_path / "docs/metrics.md").write_text("changed")
    (tmp_path / "deploy/grafana/chatapi.json").unlink()
    assert quality.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{path} differs from chatapi/monitoring: {quality.RENEW}"
        for path in ("docs/metrics.md", "deploy/grafana/chatapi.json")
    ]


@pytest.mark.django_db
def test_the_response_has_the_metrics_of_the_list_and_no_others(client: Client) -> None:
    found = {(one.name, one.type, one.documentation) for one in families(client)}
    assert found == {(metric.name, str(metric.kind), metric.meaning) for metric in METRICS}
    labels = {
        one.name: {frozenset(sample.labels) - {"le"} for sample in one.samples} for one in families(client)
    }
    assert labels == {metric.name: {frozenset(metric.labels)} for metric in METRICS}


@pytest.mark.django_db
def test_a_disk_that_cannot_be_read_has_no_metrics(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_space, "read_disk_space", lambda: None)
    missing = {metric.name for metric in METRICS} - {one.name for one in families(client)}
    assert missing == {"chatapi_disk_free_bytes", "chatapi_disk_required_bytes"}


@pytest.mark.django_db
def test_every_selector_finds_a_series(client: Client) -> None:
    """Also every value of a label that it compares with, and every label that it groups by."""
    samples = [sample for one in families(client) for sample in one.samples]
    for name, expression in expressions().items():
        selected = SELECTOR.findall(expression)
        assert selected, name
        known = set(OF_PROMETHEUS)
        for series, matchers in selected:
            of_series = [sample.labels for sample in samples if sample.name == series]
            assert of_series, (name, series)
            known.update(*of_series)
            for label, _, value in MATCHER.findall(matchers):
                if label != "job":
                    assert value in {labels[label] for labels in of_series}, (name, series, label, value)
        for labels in GROUPING.findall(expression):
            assert set(labels.split(", ")) <= known, (name, labels)


def test_the_dashboard_shows_every_metric() -> None:
    dashboard = json.loads(documents()["deploy/grafana/chatapi.json"])
    shown = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", []))
    assert {series for series, _ in SELECTOR.findall(shown)} == {metric.series for metric in METRICS}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in combinations([panel["gridPos"] for panel in dashboard["panels"]], 2):
        assert not overlap(one, other), (one, other)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def test_the_rules_are_of_the_form_that_prometheus_reads() -> None:
    text = documents()["deploy/prometheus/alerts.yml"]
    [group] = yaml.safe_load(text)["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) == len(ALERTS)
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert rule["annotations"]["summary"].count("{{") == rule["annotations"]["summary"].count("}}")


def test_a_value_in_a_summary_has_a_format() -> None:
    """Prometheus extrapolates differences and rates, so a number of links would have decimals."""
    assert not [alert.name for alert in ALERTS if re.search(r"\$value\s*}}", alert.summary)]


def test_every_alert_fires_when_it_should_and_none_on_a_healthy_site(tmp_path: Path) -> None:
    """alerts_test.yml has a case for each; promtool reads the rules and runs the cases."""
    cases = yaml.safe_load(CASES.read_text())["tests"]
    expected = re.findall(r'alertname="(\w+)"', json.dumps(cases).replace("\\", ""))
    assert sorted(expected) == sorted(alert.name for alert in ALERTS)
    promtool = shutil.which("promtool") or cannot_run("promtool is not installed (Debian: prometheus)")
    shutil.copy(CASES, tmp_path)
    shutil.copy(ROOT / "deploy/prometheus/alerts.yml", tmp_path)
    for words in (("check", "rules", "alerts.yml"), ("test", "rules", CASES.name)):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
