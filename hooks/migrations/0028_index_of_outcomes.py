"""The log's filter by outcome read all failed hooks of an endpoint. Built while the site runs."""

from django.db import migrations, models

from hooks.sql.partitioned_index import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0027_receiver_role")]

    operations = [
        AddPartitionedIndex(
            model_name="hook",
            index=models.Index(
                fields=["endpoint", "last_outcome", "-id"],
                name="hooks_hook_outcome",
                condition=~models.Q(last_outcome="") & ~models.Q(last_outcome="ok"),
            ),
        ),
    ]
