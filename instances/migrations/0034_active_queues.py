"""An index of queues that most messages do not change; see OutgoingQueue.is_active.

Before, each message that was accepted or sent changed `length`, which was the condition of an index. So no update was
HOT: each wrote all indexes of the queue's row and looked at all its former versions, to find that its primary key is
still unique. While an old transaction keeps vacuum from removing them, these were thousands. No query needs the index
of owners. With room on its page, the row's versions stay there.

The table is written anew, one row per instance, with a lock: 100 000 rows take about a second. Senders of the version
before read the whole table in each sweep until they are replaced.
"""

from django.db import migrations, models

SETTINGS = (
    "fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,"
    " autovacuum_vacuum_cost_delay = 0"
)
NAMES = ", ".join(setting.split("=")[0].strip() for setting in SETTINGS.split(","))


class Migration(migrations.Migration):
    dependencies = [("instances", "0033_drop_redundant_indexes")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE instances_outgoingqueue SET ({SETTINGS})",
            f"ALTER TABLE instances_outgoingqueue RESET ({NAMES})",
        ),
        # before the table is written anew, so that their entries are not
        migrations.RemoveIndex(model_name="outgoingqueue", name="instances_outgoingqueue_due"),
        migrations.RemoveIndex(model_name="outgoingqueue", name="instances_outgoingqueue_owner"),
        migrations.AddField(
            model_name="outgoingqueue",
            name="is_active",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.ExpressionWrapper(
                    models.Q(("length__gt", 0), ("owner__isnull", False), _connector="OR"),
                    models.BooleanField(),
                ),
                output_field=models.BooleanField(),
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingqueue",
            index=models.Index(
                condition=models.Q(("is_active", True)), fields=["instance"], name="instances_queue_active"
            ),
        ),
    ]
