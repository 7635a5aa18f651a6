"""Four CHECK constraints less to read for each message; see chatapi/database/checks.py."""

from django.db import migrations, models

from chatapi.database.checks import NOT_NEGATIVE


class Migration(migrations.Migration):
    dependencies = [("instances", "0046_hook_shares")]

    operations = [
        migrations.AlterField(
            "message",
            "ack",
            models.SmallIntegerField(
                blank=True, choices=[(1, "sent"), (2, "delivered"), (3, "viewed")], null=True
            ),
        ),
        migrations.AlterField(
            "message",
            "forwarded",
            models.SmallIntegerField(default=0, validators=NOT_NEGATIVE),
        ),
        migrations.AlterField(
            "message",
            "number",
            models.IntegerField("messageNumber", validators=NOT_NEGATIVE),
        ),
        migrations.AlterField(
            "message",
            "queue_number",
            models.IntegerField(blank=True, null=True, validators=NOT_NEGATIVE),
        ),
    ]
