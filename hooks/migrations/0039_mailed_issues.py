"""Adds to Issue which state its owner was mailed, and when. Rewrites no row."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0038_short_checks")]

    operations = [
        migrations.AddField(
            model_name="issue",
            name="mailed_state",
            field=models.CharField(blank=True, db_default="", default="", max_length=12),
        ),
        migrations.AddField(
            model_name="issue",
            name="mails_at",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.DateTimeField(), blank=True, db_default=[], default=list, size=None
            ),
        ),
    ]
