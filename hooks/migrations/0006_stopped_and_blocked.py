"""Why hooks of stopped instances and blocked accounts are not sent, and what staff needs a right for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0005_forward_while_borrowed"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="hook",
            options={
                "permissions": [
                    ("view_body", "Can read the bodies of hooks and answers"),
                    ("cancel_hook", "Can cancel hooks that wait"),
                ]
            },
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="pause_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("failing", "nothing but failures for 24 hours"),
                    ("by_hand", "paused by hand"),
                    ("stopped", "the instance is stopped"),
                ],
                default="",
                max_length=10,
            ),
        ),
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
