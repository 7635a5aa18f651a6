"""Adds Endpoint.is_listener: `chatapi listen` fetches the endpoint's hooks. Rewrites no row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0032_cancelling")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="is_listener",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
