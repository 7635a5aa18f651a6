"""The second id of a participant, for people whom the messenger calls by either. No row is written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0035_participant_name")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="other_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=280),
        ),
    ]
