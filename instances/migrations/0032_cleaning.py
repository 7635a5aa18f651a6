"""Adds Instance.cleaning: up to which rows its data is being deleted. Rewrites no row."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0031_times_of_reported_statuses"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="cleaning",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), blank=True, editable=False, null=True, size=None
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("cleaning__isnull", False)),
                fields=["id"],
                name="instances_instance_cleaning",
            ),
        ),
    ]
