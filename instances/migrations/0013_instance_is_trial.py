"""Adds `is_trial`: an instance without a payment is on trial until its `paid_until`."""

from django.db import migrations, models


def mark_trials(apps, schema_editor):
    instances, payments = apps.get_model("instances", "Instance"), apps.get_model("accounts", "Payment")
    paid = payments.objects.filter(instance_id=models.OuterRef("pk"))
    instances.objects.filter(~models.Exists(paid)).update(is_trial=True)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_audit_log_names"),
        ("instances", "0012_plain_labels"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="is_trial",
            field=models.BooleanField(default=False, verbose_name="until then on trial"),
        ),
        migrations.RunPython(mark_trials, migrations.RunPython.noop),
    ]
