"""Adds to Lane which run of `chatapi listen` fetches its hooks, and when it last called. Rewrites no row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0033_listening_endpoints")]

    operations = [
        migrations.AddField(
            model_name="lane",
            name="listener",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="lane",
            name="listener_seen_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
