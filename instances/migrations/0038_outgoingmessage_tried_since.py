"""Since when a message that was resent may have reached the messenger. No row is written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0037_membershipchange")]

    operations = [
        migrations.AddField(
            model_name="outgoingmessage",
            name="tried_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
