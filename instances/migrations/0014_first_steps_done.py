"""Adds the time when an instance's first-run checklist was complete."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0013_instance_is_trial"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="first_steps_done_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
