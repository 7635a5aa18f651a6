"""Counts that all processes share (accounts/models/lockouts.py), in tables that are not written to the WAL."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_quotas"),
    ]

    operations = [
        migrations.CreateModel(
            name="Lockout",
            fields=[
                ("key", models.UUIDField(primary_key=True, serialize=False)),
                ("total", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("since", models.DateTimeField()),
                ("pauses", models.PositiveSmallIntegerField(default=0)),
                ("blocked_until", models.DateTimeField()),
                ("last_failure_at", models.DateTimeField()),
                ("notified_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SharedValue",
            fields=[
                ("key", models.UUIDField(primary_key=True, serialize=False)),
                ("value", models.JSONField()),
                ("expires_at", models.DateTimeField()),
            ],
        ),
        migrations.RunSQL(
            "ALTER TABLE accounts_lockout SET UNLOGGED", "ALTER TABLE accounts_lockout SET LOGGED"
        ),
        migrations.RunSQL(
            "ALTER TABLE accounts_sharedvalue SET UNLOGGED", "ALTER TABLE accounts_sharedvalue SET LOGGED"
        ),
    ]
