"""The index by which messagesHistory knows whether any chat was cleared."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0008_banned_contacts"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="chat",
            index=models.Index(
                condition=models.Q(("cleared_number__gt", 0)),
                fields=["instance"],
                name="instances_chat_cleared",
            ),
        ),
    ]
