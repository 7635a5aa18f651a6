"""Finds instances by the beginning or the end of their phone number. Built while the site runs."""

from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Collate, Reverse

from chatapi.database.concurrent_index import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0044_periods_of_chats")]

    operations = [
        AddIndexAgain(
            model_name="instance",
            index=models.Index(
                fields=["phone"],
                name="instances_phone_start",
                condition=~models.Q(phone=""),
                opclasses=["varchar_pattern_ops"],
            ),
        ),
        AddIndexAgain(
            model_name="instance",
            index=models.Index(
                Collate(Reverse("phone"), "C"),
                name="instances_phone_end",
                condition=~models.Q(phone=""),
            ),
        ),
        RemoveIndexConcurrently(model_name="instance", name="instances_instance_phone"),
    ]
