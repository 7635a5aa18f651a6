"""Adds strictOrder, which is off for all endpoints."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0018_minute_counts"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="strict",
            field=models.BooleanField("strictOrder", db_default=False, default=False),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("parallel", True), ("strict", True), _negated=True),
                name="hooks_endpoint_strict_or_parallel",
            ),
        ),
    ]
