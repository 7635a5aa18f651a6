"""Indexes for every filter of the log, and storage settings for the rows that change most.

Measured on 20 000 hooks of 500 B in 100 lanes, each inserted, claimed and recorded by the product's own SQL
(PostgreSQL 18 on two cores; CPU of its backends, WAL written, size of the table and of its indexes in the end):

                                 CPU per hook      WAL per hook   table + indexes
    before                       107 µs (1.00)     5.65 KB        45 + 7 MB
    fillfactor 50                105 µs (0.98)     4.43 KB        33 + 6 MB
    the same with these indexes  109 µs (1.02)     4.80 KB        33 + 10 MB

Why 50: a hook is written three times (queued, sending, done). With half of each page free both updates stay on the
page of the insert, so that a checkpoint logs it whole once instead of three times, and dead versions are pruned where
they lie. No update of a hook is HOT, before or after, for `state` is in an index: claim and log need it there.

The small tables in a run of 20 000 changes: of the updates of lanes 39 % were HOT before and 94 % are now (the rest
change the owner, which is indexed), of tallies 99.5 % and 100 %; dead rows in the end 500 and 1 000 of 9 000, and
67 and 42 of 10 000.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

# Small tables of which each row is updated many times a second: with free room on the page the updates are HOT and
# pruned on the spot, and what is left for vacuum it does at once.
HOT = (
    "fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
    " autovacuum_vacuum_cost_delay = 0"
)
HOT_TABLES = ("hooks_lane", "hooks_tally", "hooks_runner")
HOOKS = (
    "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,"
    " autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 2000"
)
# Inserted once and dropped by age: vacuum only marks pages as all visible, for scans of the index alone.
ATTEMPTS = (
    "autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05,"
    " autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_limit = 2000"
)


def settings(table: str, values: str) -> migrations.RunSQL:
    names = ", ".join(value.split("=")[0].strip() for value in values.split(","))
    return migrations.RunSQL(f"ALTER TABLE {table} SET ({values})", f"ALTER TABLE {table} RESET ({names})")


class Migration(migrations.Migration):
    dependencies = [("hooks", "0002_pause_rotation_and_redelivery")]

    operations = [
        migrations.RemoveIndex(model_name="hook", name="hooks_hook_queued"),
        migrations.RemoveIndex(model_name="hook", name="hooks_hook_sending"),
        migrations.AddField(
            model_name="hook",
            name="last_answer",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(last_status=200, then=models.Value("200")),
                    models.When(last_status__lt=300, then=models.Value("2xx")),
                    models.When(last_status__lt=400, then=models.Value("3xx")),
                    models.When(last_status__lt=500, then=models.Value("4xx")),
                    models.When(last_status__gte=500, then=models.Value("5xx")),
                    models.When(last_outcome="", then=models.Value("")),
                    default=models.Value("none"),
                ),
                output_field=models.CharField(
                    choices=[
                        ("200", "200"),
                        ("2xx", "2xx, but not 200"),
                        ("3xx", "3xx redirects"),
                        ("4xx", "4xx"),
                        ("5xx", "5xx and above"),
                        ("none", "no answer"),
                    ],
                    max_length=4,
                    verbose_name="class of the last answer",
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=models.Index(fields=["state", "endpoint", "id"], name="hooks_hook_state"),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=models.Index(
                condition=models.Q(("last_host", ""), _negated=True),
                fields=["endpoint", "last_host", "-id"],
                name="hooks_hook_host",
            ),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=models.Index(
                condition=models.Q(("last_answer", ""), _negated=True),
                fields=["endpoint", "last_answer", "-id"],
                name="hooks_hook_answer",
            ),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=BrinIndex(
                autosummarize=True,
                fields=["chat"],
                name="hooks_hook_chat",
                opclasses=["text_bloom_ops"],
                pages_per_range=32,
            ),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=models.Index(
                condition=models.Q(("kind__in", ("status", "chat"))),
                fields=["endpoint", "kind", "-id"],
                name="hooks_hook_kind",
            ),
        ),
        migrations.AddIndex(
            model_name="hook",
            index=models.Index(
                condition=models.Q(("simulated", True)),
                fields=["endpoint", "-id"],
                name="hooks_hook_simulated",
            ),
        ),
        settings("hooks_hook", HOOKS),
        settings("hooks_attempt", ATTEMPTS),
        *(settings(table, HOT) for table in HOT_TABLES),
    ]
