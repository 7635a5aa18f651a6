"""The files that are made from the lists of metrics and alerts.

docs/metrics.md, a dashboard for Grafana and alert rules for Prometheus. `python -m chatapi.quality.monitoring` compares
them with the lists, and writes them with `--renew`.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from chatapi.monitoring.alert_list import ALERTS, Alert
from chatapi.monitoring.metric_list import METRICS, Group, Kind, Metric

GENERATED = "Generated from chatapi/monitoring by `python -m chatapi.quality.monitoring --renew`"
COLUMNS, WIDTH, HEIGHT = 24, 8, 7  # of the dashboard's grid, and of a panel
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PERCENTILES = {"50 %": 0.5, "99 %": 0.99}


def documents() -> dict[str, str]:
    """Returns the texts by path."""
    return {
        "docs/metrics.md": reference(),
        "deploy/grafana/chatapi.json": json.dumps(dashboard(), indent=2) + "\n",
        "deploy/prometheus/alerts.yml": rules(),
    }


# -- docs/metrics.md


def reference() -> str:
    lines = [
        "# Metrics and alerts",
        "",
        f"<!-- {GENERATED} -->",
        "",
        "The metrics of `/metrics`. How to scrape them, to import the dashboard and to load the alert rules:",
        "[running/watching.md](running/watching.md#monitoring). All of them but those of the machine are the same",
        "on every web server.",
        "",
    ]
    for group in Group:
        lines += [f"## {group}", "", "| metric | type | meaning |", "|---|---|---|"]
        lines += [row_of(metric) for metric in METRICS if metric.group is group]
        lines.append("")
    lines += [
        "## Alerts",
        "",
        "| alert | severity | when | what to do |",
        "|---|---|---|---|",
        *(alert_row(alert) for alert in ALERTS),
        "",
    ]
    return "\n".join(lines)


def row_of(metric: Metric) -> str:
    name = metric.name if metric.kind is Kind.HISTOGRAM else metric.series
    labels = "{" + ",".join(metric.labels) + "}" if metric.labels else ""
    return f"| `{name}{labels}` | {metric.kind} | {metric.meaning} |"


def alert_row(alert: Alert) -> str:
    expression = alert.expression.replace("|", "\\|")
    lasting = "" if alert.lasting == "0m" else f" for {alert.lasting}"
    return f"| {alert.name} | {alert.severity} | `{expression}`{lasting} | {alert.action} |"


# -- the alert rules


def rules() -> str:
    found = {"groups": [{"name": "chatapi", "rules": [rule(alert) for alert in ALERTS]}]}
    return f"# {GENERATED}\n" + yaml.safe_dump(found, sort_keys=False, width=1000)


def rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasting,
        "labels": {"severity": str(alert.severity)},
        "annotations": {"summary": alert.summary, "description": alert.action},
    }


# -- the dashboard


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for group in Group:
        panels.append(place({"type": "row", "title": group.value, "collapsed": False}, 0, y, COLUMNS, 1))
        y += 1
        shown = [metric for metric in METRICS if metric.group is group]
        for number, metric in enumerate(shown):
            row, column = divmod(number, COLUMNS // WIDTH)
            panels.append(place(panel(metric), column * WIDTH, y + row * HEIGHT, WIDTH, HEIGHT))
        y += -(-len(shown) // (COLUMNS // WIDTH)) * HEIGHT
    for number, one in enumerate(panels, 1):
        one["id"] = number
    return {
        "uid": "chatapi",
        "title": "Chat API",
        "description": GENERATED,
        "tags": ["chatapi"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [DATASOURCE_VARIABLE, JOB_VARIABLE]},
        "panels": panels,
    }


DATASOURCE_VARIABLE = {
    "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
}  # fmt: skip
JOB_VARIABLE = {
    "name": "job", "label": "Site", "type": "query", "datasource": DATASOURCE, "refresh": 2,
    "query": {"query": "label_values(chatapi_dispatchers, job)", "refId": "job"},
}  # fmt: skip


def place(panel: dict[str, Any], x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return panel | {"gridPos": {"x": x, "y": y, "w": width, "h": height}}


def panel(metric: Metric) -> dict[str, Any]:
    per_second = metric.kind is Kind.COUNTER
    return {
        "type": "timeseries",
        "title": metric.name.removeprefix("chatapi_").replace("_", " ") + (" per second" if per_second else ""),
        "description": metric.meaning,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": str(metric.unit), "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": expression, "legendFormat": legend}
            for number, (legend, expression) in enumerate(queries(metric).items())
        ],
    }  # fmt: skip


def queries(metric: Metric) -> dict[str, str]:
    """Returns expressions by their legend. Every web server responds the same: the maximum is the value."""
    series = metric.series + '{job="$job"}'
    if metric.kind is Kind.HISTOGRAM:
        return {
            name: f"histogram_quantile({quantile}, max by (le) (rate({series}[$__rate_interval])))"
            for name, quantile in PERCENTILES.items()
        }
    labels = ("instance", *metric.labels) if metric.is_of_machine else metric.labels
    legend = " ".join("{{" + label + "}}" for label in labels) or metric.name.removeprefix("chatapi_")
    if metric.kind is Kind.COUNTER:
        series = f"rate({series}[$__rate_interval])"
    by = f" by ({', '.join(labels)}) " if labels else ""
    return {legend: f"max{by}({series})"}
