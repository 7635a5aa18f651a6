"""Finds the failed attempts since the last look for issues without the others. Built while the site runs."""

from django.db import migrations, models

from hooks.sql.partitioned_index import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0035_issues")]

    operations = [
        AddPartitionedIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("outcome", "ok"), _negated=True),
                fields=["id"],
                name="hooks_attempt_failed",
            ),
        ),
    ]
