"""The messages of a file by an index: a file that is dropped looked at all messages of all instances."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0009_chats_that_were_cleared")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("media__isnull", False)), fields=["media"], name="instances_message_media"
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(
                condition=models.Q(("media__isnull", False)),
                fields=["media"],
                name="instances_outgoing_media",
            ),
        ),
    ]
