"""Finds a message, and a chat, by the messenger's own id. Built while the site runs."""

from django.db import migrations, models

from chatapi.database.concurrent_index import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0026_ids_of_messengers")]

    operations = [
        AddIndexAgain(
            model_name="chat",
            index=models.Index(
                condition=models.Q(("messenger_chat_id", ""), _negated=True),
                fields=["instance", "messenger_chat_id"],
                name="instances_chat_messenger",
            ),
        ),
        AddIndexAgain(
            model_name="message",
            index=models.Index(
                condition=models.Q(("messenger_id", ""), _negated=True),
                fields=["instance", "messenger_id"],
                name="instances_message_messenger",
            ),
        ),
    ]
