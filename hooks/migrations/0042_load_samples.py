"""Adds the samples of the site's load, and the permission to resend hooks of any account."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0041_alerted_state")]

    operations = [
        migrations.CreateModel(
            name="LoadSample",
            fields=[
                ("minute", models.DateTimeField(primary_key=True, serialize=False)),
                ("waiting", models.IntegerField(verbose_name="hooks due")),
                ("failing", models.IntegerField(verbose_name="failing endpoints")),
                ("paused", models.IntegerField(verbose_name="paused endpoints")),
                ("delivered", models.BigIntegerField(verbose_name="deliveries until then")),
            ],
        ),
        migrations.AlterModelOptions(
            name="hook",
            options={
                "permissions": [
                    ("view_body", "Can read the bodies of hooks and responses"),
                    ("cancel_hook", "Can cancel waiting hooks"),
                    ("resend_hook", "Can resend hooks of any account"),
                ]
            },
        ),
    ]
