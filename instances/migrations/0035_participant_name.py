"""The name of a participant, for those without a chat of their own. No row is written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0034_active_queues")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="name",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]
