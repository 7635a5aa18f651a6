"""Rewords labels and verbose names. State only: no table is touched."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0011_name_outcomes"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="hook",
            options={
                "permissions": [
                    ("view_body", "Can read the bodies of hooks and responses"),
                    ("cancel_hook", "Can cancel waiting hooks"),
                ]
            },
        ),
        migrations.AlterField(
            model_name="attempt",
            name="address",
            field=models.CharField(
                blank=True, default="", max_length=60, verbose_name="IP address connected to"
            ),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="error",
            field=models.CharField(blank=True, default="", max_length=500, verbose_name="error detail"),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="name_ms",
            field=models.FloatField(blank=True, null=True, verbose_name="DNS lookup"),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="tls_ms",
            field=models.FloatField(blank=True, null=True, verbose_name="TLS handshake"),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="pause_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("failing", "all deliveries failed for 24 hours"),
                    ("by_hand", "paused manually"),
                    ("stopped", "the instance is stopped"),
                ],
                default="",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="pause_told_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="owner notified of the pause"),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="previous_secret",
            field=models.CharField(
                blank=True, default="", max_length=100, verbose_name="previous signing secret"
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="url",
            field=models.CharField(blank=True, default="", max_length=2000, verbose_name="URL"),
        ),
        migrations.AlterField(
            model_name="hook",
            name="body",
            field=models.BinaryField(help_text="the exact bytes that are sent"),
        ),
        migrations.AlterField(
            model_name="hook",
            name="last_answer",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(last_status=200, then=models.Value("200")),
                    models.When(last_status__lt=300, then=models.Value("2xx")),
                    models.When(last_status__lt=400, then=models.Value("3xx")),
                    models.When(last_status__lt=500, then=models.Value("4xx")),
                    models.When(last_status__gte=500, then=models.Value("5xx")),
                    models.When(last_outcome="", then=models.Value("")),
                    default=models.Value("none"),
                ),
                output_field=models.CharField(
                    choices=[
                        ("200", "200"),
                        ("2xx", "2xx, but not 200"),
                        ("3xx", "3xx redirects"),
                        ("4xx", "4xx"),
                        ("5xx", "5xx and above"),
                        ("none", "no response"),
                    ],
                    max_length=4,
                    verbose_name="class of the last response",
                ),
            ),
        ),
        migrations.AlterField(
            model_name="hook",
            name="skip_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("flag_off", "turned off in the instance's settings"),
                    ("no_address", "the instance has no webhook URL"),
                    ("typed_on_phone", "typed on the phone: no acks are sent"),
                    ("too_old", "older than oldMessagesPeriod"),
                    ("archived", "the chat is archived, and processArchive is off"),
                    ("not_paid", "the instance is not paid"),
                    ("stopped", "the instance is stopped"),
                    ("blocked", "the account is blocked"),
                    ("by_hand", "skipped manually"),
                ],
                default="",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="hook",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("event", "Event"),
                    ("retry", "Retry"),
                    ("resend", "Resend"),
                    ("simulation", "Simulation"),
                ],
                default="event",
                max_length=10,
                verbose_name="reason for the next attempt",
            ),
        ),
        migrations.AlterField(
            model_name="redelivery",
            name="planned",
            field=models.PositiveIntegerField(verbose_name="hooks counted at creation"),
        ),
        migrations.AlterField(
            model_name="redelivery",
            name="up_to",
            field=models.BigIntegerField(verbose_name="newest hook included"),
        ),
        migrations.AlterField(
            model_name="redeliverypart",
            name="cursor",
            field=models.BigIntegerField(default=0, verbose_name="last hook examined"),
        ),
        migrations.AlterField(
            model_name="redeliverypart",
            name="done",
            field=models.PositiveIntegerField(default=0, verbose_name="hooks resent"),
        ),
        migrations.AlterField(
            model_name="redeliverypart",
            name="refused",
            field=models.PositiveIntegerField(default=0, verbose_name="hooks not resent"),
        ),
        migrations.AlterField(
            model_name="retentionmark",
            name="began_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, verbose_name="started with the oldest hook"
            ),
        ),
        migrations.AlterField(
            model_name="retentionmark",
            name="bodies_up_to",
            field=models.BigIntegerField(default=0, verbose_name="newest hook examined"),
        ),
        migrations.AlterField(
            model_name="runner",
            name="in_flight",
            field=models.PositiveIntegerField(db_default=0, default=0, verbose_name="requests in flight"),
        ),
    ]
