"""Adds the table in which events count their hooks; see hooks/tallies.py. Changes no row.

Rows are inserted and deleted, never changed. Vacuum makes room for new ones after each run that adds them up, and keeps
the pages: to return them to the system, it would lock out events.
"""

from django.db import migrations, models

SETTINGS = (
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,"
    " vacuum_truncate = off"
)
NAMES = ", ".join(setting.split("=")[0].strip() for setting in SETTINGS.split(","))
# Code of before reads the tallies only.
ADD_UP = """
UPDATE hooks_tally t SET emitted = t.emitted + c.emitted, skipped = t.skipped + c.skipped FROM (
    SELECT endpoint_id, sum(emitted) AS emitted, sum(skipped) AS skipped FROM hooks_emittedcount GROUP BY endpoint_id
) c WHERE c.endpoint_id = t.endpoint_id
"""


class Migration(migrations.Migration):
    dependencies = [("hooks", "0036_index_of_failures")]

    operations = [
        migrations.CreateModel(
            name="EmittedCount",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("endpoint_id", models.BigIntegerField()),
                ("emitted", models.BigIntegerField()),
                ("skipped", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(
            f"ALTER TABLE hooks_emittedcount SET ({SETTINGS})",
            f"ALTER TABLE hooks_emittedcount RESET ({NAMES})",
        ),
        migrations.RunSQL(migrations.RunSQL.noop, ADD_UP),
    ]
