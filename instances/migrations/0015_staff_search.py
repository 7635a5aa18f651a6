"""Adds the index of the support desk's search by an instance's phone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0014_first_steps_done"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                name="instances_instance_phone", fields=["phone"], condition=~models.Q(phone="")
            ),
        ),
    ]
