"""The hooks of a message: the index without a condition, which a longer `message` (0031) does not rebuild.

Built while the site runs.
"""

from django.db import migrations, models

from hooks.sql.partitioned_index import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0029_index_of_attempts")]

    operations = [
        AddPartitionedIndex(
            model_name="hook",
            index=models.Index(fields=["endpoint", "message"], name="hooks_hook_of_message"),
        ),
    ]
