"""Adds Endpoint.cancel_up_to: up to which hook the waiting ones are being cancelled. Rewrites no row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0031_indexes_of_long_ids")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="cancel_up_to",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(
                fields=["cancel_up_to"],
                name="hooks_endpoint_cancelling",
                condition=models.Q(("cancel_up_to__isnull", False)),
            ),
        ),
    ]
