"""Finds the old changes of a group's members. Built while the site runs."""

from django.db import migrations, models

from chatapi.database.concurrent_index import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0038_outgoingmessage_tried_since")]

    operations = [
        AddIndexAgain(
            model_name="membershipchange",
            index=models.Index(fields=["chat", "at"], name="instances_membership_old"),
        ),
    ]
