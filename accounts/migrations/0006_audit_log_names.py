"""Renames labels of the audit log; no SQL."""

from django.db import migrations, models

import accounts.audit


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_first_steps_put_away"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="auditentry",
            options={"verbose_name": "audit entry", "verbose_name_plural": "audit log"},
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=accounts.audit.audit_action_choices, max_length=40, verbose_name="action"
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="actor_text",
            field=models.CharField(blank=True, default="", max_length=254, verbose_name="user"),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="subject_text",
            field=models.CharField(blank=True, default="", max_length=254, verbose_name="subject"),
        ),
    ]
