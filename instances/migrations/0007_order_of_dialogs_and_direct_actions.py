"""The index that `dialogs` reads, and the words of what a channel does at once: join, leave, typing, recording."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0006_sandbox_missed_until"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="queuedaction",
            name="instances_queuedaction_type",
        ),
        migrations.AlterField(
            model_name="queuedaction",
            name="type",
            field=models.CharField(
                choices=[
                    ("create group", "create group"),
                    ("add group participant", "add group participant"),
                    ("remove group participant", "remove group participant"),
                    ("promote group participant", "promote group participant"),
                    ("demote group participant", "demote group participant"),
                    ("read chat", "read chat"),
                    ("join group", "join group"),
                    ("leave group", "leave group"),
                    ("typing", "typing"),
                    ("recording", "recording"),
                ],
                max_length=40,
            ),
        ),
        migrations.AddIndex(
            model_name="chat",
            index=models.Index(
                models.F("instance"),
                models.F("archived"),
                models.OrderBy(models.F("pinned_at"), descending=True, nulls_last=True),
                models.OrderBy(models.F("last_time"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("removed_at__isnull", True)),
                name="instances_chat_dialogs",
            ),
        ),
        migrations.AddIndex(
            model_name="queuedaction",
            index=models.Index(fields=["instance", "id"], name="instances_queuedaction_next"),
        ),
        migrations.AddConstraint(
            model_name="queuedaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "type__in",
                        [
                            "create group",
                            "add group participant",
                            "remove group participant",
                            "promote group participant",
                            "demote group participant",
                            "read chat",
                            "join group",
                            "leave group",
                            "typing",
                            "recording",
                        ],
                    )
                ),
                name="instances_queuedaction_type",
            ),
        ),
    ]
