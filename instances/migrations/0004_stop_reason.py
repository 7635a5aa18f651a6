"""Why an instance is stopped, and what staff needs a right for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0003_the_whole_contract"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="instance",
            options={
                "ordering": ["id"],
                "permissions": [
                    ("stop_instance", "Can stop and start instances"),
                    ("log_out_instance", "Can log instances out"),
                ],
            },
        ),
        migrations.AddField(
            model_name="instance",
            name="stop_reason",
            field=models.CharField(
                blank=True,
                choices=[("staff", "stopped by staff"), ("blocked", "its account is blocked")],
                default="",
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(("stop_reason", ""), ("stopped_at__isnull", False), _connector="OR"),
                name="instances_instance_stop_reason",
            ),
        ),
    ]
