"""The alerts that a site should have, as rules of Prometheus, with what a person does about each.

A site with several web servers may have each of them scraped: they respond the same, so expressions take the maximum.
Rules are by `job`: one Prometheus may watch several sites. One that has not responded for a week counts as removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    CRITICAL = "critical"  # users are affected now
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Alert:
    """`lasting` is how long the expression must hold. `summary` may use `{{ $value }}` and labels of Prometheus."""

    name: str
    severity: Severity
    expression: str
    lasting: str
    summary: str
    action: str


def share(series: str, selector: str, by: str, over: str) -> str:
    """Returns the share of the counter's increase that the selector has, by these labels."""
    of = series.partition("{")[0]
    part = f"sum by ({by}) (max by ({by}, {over}) (rate({series}{{{selector}}}[15m])))"
    whole = f"sum by ({by}) (max by ({by}, {over}) (rate({of}[15m])))"
    return f"{part} / {whole}"


def percentile(series: str) -> str:
    return f"histogram_quantile(0.99, max by (job, le) (rate({series}[15m])))"


ALERTS = (
    Alert(
        "ChatAPIMetricsMissing", Severity.CRITICAL,
        "max by (job) (max_over_time(chatapi_dispatchers[7d])) unless max by (job) (chatapi_dispatchers) "
        "or absent_over_time(chatapi_dispatchers[7d])",
        "5m",
        "No web server of Chat API{{ with $labels.job }} ({{ . }}){{ end }} responds to /metrics.",
        "The web server or the database does not respond, or METRICS_TOKEN differs. Open /readyz, and run "
        "`manage.py doctor`.",
    ),
    Alert(
        "ChatAPINoDispatcher", Severity.CRITICAL, "max by (job) (chatapi_dispatchers) == 0", "1m",
        "No dispatcher is running: hooks are stored and not sent.",
        "Start `manage.py worker`, or read why it ends in its log.",
    ),
    Alert(
        "ChatAPINoSender", Severity.CRITICAL, "max by (job) (chatapi_senders) == 0", "1m",
        "No sender is running: messages are queued and not sent.",
        "Start `manage.py worker`, or read why it ends in its log.",
    ),
    Alert(
        "ChatAPINoReceiver", Severity.CRITICAL,
        "max by (job) (chatapi_receivers) == 0 "
        "and sum by (job) (max by (job, state) (chatapi_receiving_instances)) > 0",
        "1m",
        "No receiver is running: messages from messengers arrive late.",
        "Start `manage.py worker`, or read why it ends in its log.",
    ),
    Alert(
        "ChatAPIHooksLate", Severity.CRITICAL,
        'max by (job) (chatapi_hooks_oldest_waiting_seconds{turn="first"}) > 300', "1m",
        "The oldest hook has waited {{ $value | humanizeDuration }} for its first attempt.",
        "Open \"Queues and dispatchers\" on the support desk. Many slow endpoints need more dispatchers; a slow "
        "database shows in chatapi_claim_seconds.",
    ),
    Alert(
        "ChatAPIRetriesLate", Severity.WARNING,
        'max by (job) (chatapi_hooks_oldest_waiting_seconds{turn="retry"}) > 900', "5m",
        "The oldest due retry has waited {{ $value | humanizeDuration }}.",
        "As for ChatAPIHooksLate. After a long failure of many endpoints, retries catch up by themselves.",
    ),
    Alert(
        "ChatAPIAttemptsFailing", Severity.WARNING,
        share("chatapi_attempts_total", 'outcome!="ok"', "job", "outcome") + " > 0.5", "15m",
        "{{ $value | humanizePercentage }} of the attempts fail.",
        "If one outcome such as dns or timeout prevails, the network or the proxy of this site is the cause; otherwise "
        "the support desk lists the endpoints that fail.",
    ),
    Alert(
        "ChatAPIEndpointsFailing", Severity.WARNING,
        "max by (job) (chatapi_endpoints_failing) / max by (job) (chatapi_endpoints) > 0.1 "
        "and max by (job) (chatapi_endpoints_failing) >= 5",
        "10m",
        "{{ $value | humanizePercentage }} of the endpoints have failed for more than ten minutes.",
        "As for ChatAPIAttemptsFailing. If the endpoints have a host or a provider in common, only its owner can "
        "repair it; hooks with guaranteedHooks are retried meanwhile.",
    ),
    Alert(
        "ChatAPIDatabaseSlow", Severity.WARNING, percentile("chatapi_claim_seconds_bucket") + " > 1", "15m",
        "One of a hundred claims of hooks takes {{ $value | humanizeDuration }} or longer.",
        "Run `manage.py doctor`: long transactions, autovacuum that is behind, or a slow disk.",
    ),
    Alert(
        "ChatAPIRecordingSlow", Severity.WARNING, percentile("chatapi_record_seconds_bucket") + " > 1", "15m",
        "One of a hundred batches of results takes {{ $value | humanizeDuration }} or longer to record.",
        "If ChatAPICommitsSlow fires too, as there. Otherwise run `manage.py doctor`: dead rows, long transactions, or "
        "autovacuum that is behind.",
    ),
    Alert(
        "ChatAPICommitsSlow", Severity.WARNING, percentile("chatapi_commit_seconds_bucket") + " > 0.5", "15m",
        "One of a hundred commits takes {{ $value | humanizeDuration }} or longer: API calls and events wait for it.",
        "The database's disk is slow, or its synchronous standby is. `manage.py doctor` says how far a standby is "
        "behind; without one, look at the latency of the disk.",
    ),
    Alert(
        "ChatAPISendsFailing", Severity.WARNING,
        share("chatapi_channel_messages_total", 'result!="sent"', "job, channel", "result") + " > 0.5", "15m",
        "{{ $value | humanizePercentage }} of the tries to send on {{ $labels.channel }} fail.",
        "The failed messages on an instance's page have the messenger's reason.",
    ),
    Alert(
        "ChatAPILinksLost", Severity.WARNING,
        'max by (job, channel) (delta(chatapi_channel_links{state="lost"}[10m])) > 5', "0m",
        "{{ $value | printf \"%.0f\" }} links of {{ $labels.channel }} were lost within ten minutes.",
        "The messenger has refused the credentials of several accounts at once: see its status page, and the reason in "
        "\"Queues and dispatchers\" on the support desk.",
    ),
    Alert(
        "ChatAPICallbacksLate", Severity.WARNING,
        "max by (job) (chatapi_callbacks_oldest_waiting_seconds) > 300", "1m",
        "A callback of a messenger has waited {{ $value | humanizeDuration }} to be recorded.",
        "Its error is on the instance's page.",
    ),
    Alert(
        "ChatAPICallbacksFailed", Severity.WARNING,
        "max by (job) (delta(chatapi_callbacks_failed[1h])) > 0", "0m",
        "{{ $value | printf \"%.0f\" }} callbacks of messengers have failed within an hour.",
        "Their error is on the instance's page, where they are handled again.",
    ),
    Alert(
        "ChatAPIReplicationLag", Severity.WARNING, "max by (job) (chatapi_replication_lag_seconds) > 60", "5m",
        "A standby of the database is {{ $value | humanizeDuration }} behind the primary.",
        "A failover loses or waits for that much. Check the standby's disk, its network, and long queries on it.",
    ),
    Alert(
        "ChatAPIRetentionBehind", Severity.WARNING,
        "max by (job) (chatapi_hooks_oldest_finished_seconds) - max by (job) (chatapi_hooks_kept_seconds) > 2 * 86400",
        "1h",
        "Finished hooks are kept {{ $value | humanizeDuration }} too long.",
        "Check that `manage.py worker` is running and that its task \"old hooks\" does not fail (support desk, "
        "\"Queues and dispatchers\").",
    ),
    Alert(
        "ChatAPIDiskAlmostFull", Severity.CRITICAL, "chatapi_disk_free_bytes < chatapi_disk_required_bytes", "1m",
        "{{ $value | humanize1024 }}B are free on the disk of {{ $labels.instance }}: files and large captures are "
        "refused.",
        "Free space, or enlarge the disk of DATA_DIR.",
    ),
    Alert(
        "ChatAPIDiskFillsUp", Severity.WARNING,
        "predict_linear(chatapi_disk_free_bytes[6h], 24 * 3600) < chatapi_disk_required_bytes", "1h",
        "The disk of {{ $labels.instance }} is almost full within a day.",
        "Free space, enlarge the disk of DATA_DIR, or keep logs and files for a shorter time.",
    ),
)  # fmt: skip
