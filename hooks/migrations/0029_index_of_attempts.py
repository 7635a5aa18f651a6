"""A partition has no primary key, so one attempt, or the newest ones, took a look at all. Built while the site runs."""

from django.db import migrations, models

from hooks.sql.partitioned_index import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0028_index_of_outcomes")]

    operations = [
        AddPartitionedIndex(model_name="attempt", index=models.Index(fields=["id"], name="hooks_attempt_id")),
    ]
