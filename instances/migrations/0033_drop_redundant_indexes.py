"""Drops three indexes that begin another index too: of chats and messages by their instance, of messages by their chat.

Each message wrote three entries more than any query needed. They are dropped by name and without a lock: Django would
lock the tables, and drop the foreign key of a message's chat and create it again, which reads all messages.
"""

import django.db.models.deletion
from django.db import migrations, models

REDUNDANT = (
    ("instances_chat_instance_id_4df8038f", "instances_chat", "instance_id"),
    ("instances_message_chat_id_38b13152", "instances_message", "chat_id"),
    ("instances_message_instance_id_1159753d", "instances_message", "instance_id"),
)


def drop(name: str) -> str:
    """Also the first step back: an interrupted one leaves an invalid index of this name."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("instances", "0032_cleaning"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    drop(name),
                    [drop(name), f"CREATE INDEX CONCURRENTLY {name} ON {table} ({column})"],
                )
                for name, table, column in REDUNDANT
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="chat",
                    name="instance",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="chats",
                        to="instances.instance",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="chat",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="instances.chat",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="instance",
                    field=models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="messages",
                        to="instances.instance",
                    ),
                ),
            ],
        ),
    ]
