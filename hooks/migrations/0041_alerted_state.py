"""Adds to Issue which state the account's alert webhook was told. Rewrites no row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0040_late_and_repeated")]

    operations = [
        migrations.AddField(
            model_name="issue",
            name="alerted_state",
            field=models.CharField(blank=True, db_default="", default="", max_length=12),
        ),
    ]
