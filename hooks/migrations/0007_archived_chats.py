"""Why the hook of a message of an archived chat is not sent."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0006_stopped_and_blocked"),
    ]

    operations = [
        migrations.AlterField(
            model_name="hook",
            name="skip_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("flag_off", "switched off in the instance's settings"),
                    ("no_address", "the instance has no webhook address"),
                    ("typed_on_phone", "typed on the phone: such messages get no ack"),
                    ("too_old", "older than oldMessagesPeriod"),
                    ("archived", "the chat is archived, and processArchive is off"),
                    ("not_paid", "the instance is not paid"),
                    ("stopped", "the instance is stopped"),
                    ("blocked", "the account is blocked"),
                    ("by_hand", "skipped by hand"),
                ],
                default="",
                max_length=20,
            ),
        ),
    ]
