"""Adds the alert webhook of accounts, and its alerts."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import chatapi.encryption.fields
import hooks.models.endpoints
import hooks.models.hooks


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0014_validate_key_scopes"),
        ("instances", "0041_message_numbers"),
    ]

    operations = [
        migrations.CreateModel(
            name="AlertWebhook",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="alert_webhook",
                        serialize=False,
                        to="accounts.account",
                    ),
                ),
                ("url", models.CharField(max_length=2000, verbose_name="URL")),
                (
                    "secret",
                    chatapi.encryption.fields.EncryptedTextField(
                        bound_to="account_id",
                        default=hooks.models.endpoints.new_secret,
                        verbose_name="signing secret",
                    ),
                ),
                (
                    "previous_secret",
                    chatapi.encryption.fields.EncryptedTextField(
                        blank=True, bound_to="account_id", default="", verbose_name="previous signing secret"
                    ),
                ),
                ("previous_secret_until", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("previous_secret", ""), ("previous_secret_until", None)),
                            models.Q(
                                models.Q(("previous_secret", ""), _negated=True),
                                ("previous_secret_until__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="instances_alertwebhook_previous_secret",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_id",
                    models.UUIDField(default=hooks.models.hooks.new_public_id, editable=False, unique=True),
                ),
                ("body", models.BinaryField()),
                ("is_test", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempts_made", models.PositiveSmallIntegerField(default=0)),
                ("attempts", models.JSONField(default=list)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                (
                    "webhook",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="instances.alertwebhook",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["next_attempt_at"],
                        name="instances_alert_due",
                    ),
                    models.Index(fields=["webhook", "-created_at"], name="instances_alert_newest"),
                    models.Index(fields=["created_at"], name="instances_alert_old"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "delivered", "failed"])),
                        name="instances_alert_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state", "waiting"), ("next_attempt_at__isnull", True), _connector="XOR"
                        ),
                        name="instances_alert_waiting",
                    ),
                ],
            },
        ),
    ]
