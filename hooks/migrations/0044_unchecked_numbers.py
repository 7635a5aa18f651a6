"""Three CHECK constraints less to read for each event; see chatapi/database/checks.py."""

from django.db import migrations, models

from chatapi.database.checks import NOT_NEGATIVE


class Migration(migrations.Migration):
    dependencies = [("hooks", "0043_periods_of_lanes")]

    operations = [
        migrations.AlterField(
            "hook",
            "attempts_allowed",
            models.SmallIntegerField(default=1, validators=NOT_NEGATIVE),
        ),
        migrations.AlterField(
            "hook",
            "attempts_made",
            models.SmallIntegerField(default=0, validators=NOT_NEGATIVE),
        ),
        migrations.AlterField(
            "hook",
            "last_status",
            models.SmallIntegerField(blank=True, null=True, validators=NOT_NEGATIVE),
        ),
    ]
