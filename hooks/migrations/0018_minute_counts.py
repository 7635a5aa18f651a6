"""Counts per endpoint and minute of the hooks that are delivered or failed; see hooks/log/statistics.py.

Hooks of before are not counted: charts of their time read the index of hooks, until retention has deleted them.

A minute's row changes with each batch of results while it is new, then never again. With room on its page the change
is a HOT update, which writes no index.
"""

import django.contrib.postgres.indexes
import django.utils.timezone
from django.db import migrations, models

SETTINGS = (
    "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05,"
    " autovacuum_analyze_scale_factor = 0.05"
)
NAMES = ", ".join(setting.split("=")[0].strip() for setting in SETTINGS.split(","))


class Migration(migrations.Migration):
    dependencies = [("hooks", "0017_encrypt_secrets")]

    operations = [
        migrations.CreateModel(
            name="CountingStart",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="hooks_countingstart_one")
                ],
            },
        ),
        migrations.CreateModel(
            name="MinuteCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "endpoint_id", "minute", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("endpoint_id", models.BigIntegerField()),
                ("minute", models.DateTimeField(verbose_name="minute of the events")),
                ("delivered", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["minute"], name="hooks_minutecount_minute", pages_per_range=32
                    )
                ],
            },
        ),
        migrations.RunSQL(
            f"ALTER TABLE hooks_minutecount SET ({SETTINGS})",
            f"ALTER TABLE hooks_minutecount RESET ({NAMES})",
        ),
        migrations.RunSQL(
            "INSERT INTO hooks_countingstart (id, at) VALUES (1, clock_timestamp())",
            migrations.RunSQL.noop,
        ),
    ]
