"""An index of the waiting hooks that have a URL of their own: they are sent even if their endpoint has none.

It is nearly empty at all times. State only: the site is down, and the table may have millions of rows. Migration 0025
gives it to new partitions, and hooks/maintenance/old_indexes.py builds it for the hooks of before.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0013_typed_url")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(migrations.RunSQL.noop, "DROP INDEX IF EXISTS hooks_hook_own_url"),
            ],
            state_operations=[
                migrations.AddIndex(
                    model_name="hook",
                    index=models.Index(
                        condition=models.Q(("to_url", ""), _negated=True)
                        & models.Q(("state__in", ("queued", "retrying"))),
                        fields=["endpoint"],
                        name="hooks_hook_own_url",
                    ),
                ),
            ],
        ),
    ]
