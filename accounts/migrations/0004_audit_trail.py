"""The audit trail, why an account is blocked, and what staff needs a right for."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.audit


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_members"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="account",
            options={
                "permissions": [
                    ("block_account", "Can block and unblock accounts"),
                    ("look_at_account", "Can look at an account's pages, read-only"),
                ]
            },
        ),
        migrations.AddField(
            model_name="account",
            name="blocked_reason",
            field=models.CharField(blank=True, default="", max_length=200, verbose_name="why, for staff"),
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("actor_text", models.CharField(blank=True, default="", max_length=254, verbose_name="who")),
                (
                    "action",
                    models.CharField(
                        choices=accounts.audit.audit_action_choices,
                        max_length=40,
                        verbose_name="what was done",
                    ),
                ),
                ("subject_kind", models.CharField(max_length=20)),
                ("subject_id", models.CharField(max_length=64)),
                (
                    "subject_text",
                    models.CharField(blank=True, default="", max_length=254, verbose_name="to what"),
                ),
                ("detail", models.JSONField(blank=True, default=dict)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit trail",
                "indexes": [
                    models.Index(fields=["account", "-id"], name="accounts_audit_account"),
                    models.Index(fields=["actor", "-id"], name="accounts_audit_actor"),
                    models.Index(fields=["subject_kind", "subject_id", "-id"], name="accounts_audit_subject"),
                    models.Index(fields=["action", "-id"], name="accounts_audit_action"),
                ],
            },
        ),
    ]
