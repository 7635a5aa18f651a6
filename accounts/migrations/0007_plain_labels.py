"""Rewords labels and verbose names. State only: no table is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_audit_log_names"),
    ]

    operations = [
        migrations.AlterField(
            model_name="account",
            name="blocked_reason",
            field=models.CharField(
                blank=True, default="", max_length=200, verbose_name="reason, shown to staff"
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="currency",
            field=models.CharField(default="USD", help_text="ISO 4217 code, such as USD", max_length=3),
        ),
        migrations.AlterField(
            model_name="user",
            name="is_active",
            field=models.BooleanField(default=True, verbose_name="can sign in"),
        ),
        migrations.AlterField(
            model_name="user",
            name="is_staff",
            field=models.BooleanField(default=False, verbose_name="can see the support desk"),
        ),
    ]
