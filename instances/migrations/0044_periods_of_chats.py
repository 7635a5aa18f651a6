"""The lists of chats read indexes of periods instead of times, which most messages do not change."""

import django.utils.timezone
from django.db import migrations, models

from chatapi.database.concurrent_index import AddIndexAgain

PERIOD = models.Func(
    models.F("stored_last_time"),
    template="date_bin('5 minutes', %(expressions)s, 'epoch')",
    output_field=models.DateTimeField(),
)
REPLACED = (
    ("instances_chat_recent", "(instance_id, last_time DESC)"),
    (
        "instances_chat_dialogs",
        "(instance_id, archived, pinned_at DESC NULLS LAST, last_time DESC, id DESC) WHERE removed_at IS NULL",
    ),
)


def drop(name: str) -> str:
    """Also the first step back: an interrupted one leaves an invalid index of this name."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0043_last_messages")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *(migrations.RemoveIndex(model_name="chat", name=name) for name, _ in REPLACED),
                migrations.AlterField(
                    model_name="chat",
                    name="last_time",
                    field=models.DateTimeField(default=django.utils.timezone.now, db_column="last_time"),
                ),
                migrations.RenameField(model_name="chat", old_name="last_time", new_name="stored_last_time"),
                migrations.AlterField(
                    model_name="chat",
                    name="unread",
                    field=models.PositiveIntegerField(default=0, db_column="unread"),
                ),
                migrations.RenameField(model_name="chat", old_name="unread", new_name="stored_unread"),
            ],
        ),
        AddIndexAgain(
            model_name="chat",
            index=models.Index(models.F("instance"), PERIOD.desc(), name="instances_chat_newest"),
        ),
        AddIndexAgain(
            model_name="chat",
            index=models.Index(
                models.F("instance"),
                models.F("archived"),
                models.F("pinned_at").desc(nulls_last=True),
                PERIOD.desc(),
                name="instances_chat_listed",
                condition=models.Q(removed_at__isnull=True),
            ),
        ),
        *(
            migrations.RunSQL(
                drop(name),
                [drop(name), f"CREATE INDEX CONCURRENTLY {name} ON instances_chat {definition}"],
            )
            for name, definition in REPLACED
        ),
    ]
