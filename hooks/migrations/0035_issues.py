"""Adds Issue, the failures of an endpoint with one cause, and IssueMark."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import hooks.models.hooks

UNRESOLVED = ("open", "acknowledged")


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0034_runs_of_listeners"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="IssueMark",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "counted_up_to",
                    models.BigIntegerField(verbose_name="newest attempt of the run before the last"),
                ),
                ("newest", models.BigIntegerField(verbose_name="newest attempt of the last run")),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="hooks_issuemark_one")
                ],
            },
        ),
        migrations.CreateModel(
            name="Issue",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_id",
                    models.UUIDField(default=hooks.models.hooks.new_public_id, editable=False, unique=True),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="issues",
                        to="hooks.endpoint",
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("ok", "Delivered"),
                            ("not_200", "Responded, but not with 200"),
                            ("dns", "Name not found"),
                            ("refused", "Connection refused"),
                            ("timeout", "Timed out"),
                            ("tls", "TLS error"),
                            ("reset", "Connection closed early"),
                            ("blocked", "Address not allowed"),
                            ("redirect", "Redirect"),
                            ("too_large", "Headers too large"),
                            ("protocol", "Invalid HTTP response"),
                        ],
                        max_length=10,
                    ),
                ),
                ("status", models.PositiveSmallIntegerField(default=0, verbose_name="status code")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("resolved", "Resolved"),
                        ],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("first_failed_at", models.DateTimeField(verbose_name="first failed attempt")),
                ("last_failed_at", models.DateTimeField(verbose_name="last failed attempt")),
                ("first_hook", models.BigIntegerField(verbose_name="oldest hook that failed")),
                ("events_since", models.DateTimeField(verbose_name="event of the oldest hook that failed")),
                ("last_attempt", models.BigIntegerField(verbose_name="newest failed attempt")),
                ("hooks", models.PositiveIntegerField(default=0, verbose_name="hooks that failed")),
                ("opened_at", models.DateTimeField()),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", UNRESOLVED)),
                        fields=["endpoint"],
                        name="hooks_issue_unresolved",
                    ),
                    models.Index(fields=["last_failed_at"], name="hooks_issue_last_failed"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", UNRESOLVED)),
                        fields=("endpoint", "outcome", "status"),
                        name="hooks_issue_one_unresolved",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", [*UNRESOLVED, "resolved"])), name="hooks_issue_state"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "resolved"), ("resolved_at__isnull", True), _connector="XOR"
                        ),
                        name="hooks_issue_resolved",
                    ),
                ],
            },
        ),
    ]
