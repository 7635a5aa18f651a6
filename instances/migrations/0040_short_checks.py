"""The same rules with shorter texts, which PostgreSQL reads for each message."""

from django.db import migrations, models

from chatapi.database.checks import ReplaceCheck

SUBSTATUSES = (
    "^(normal|phone|computer|offline|battery_low|battery_low_1|battery_low_2|syncing|loading"
    "|expired|opening|pairing|timeout)$"
)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("instances", "0039_index_of_membership_changes")]

    operations = [
        ReplaceCheck(
            "chat",
            models.CheckConstraint(
                condition=models.Q(("activity__regex", "^(|typing|recording)$")),
                name="instances_chat_activity",
            ),
        ),
        ReplaceCheck(
            "instance",
            models.CheckConstraint(
                condition=models.Q(("account_status__regex", "^(init|loading|got qr code|authenticated)$")),
                name="instances_instance_status",
            ),
        ),
        ReplaceCheck(
            "instance",
            models.CheckConstraint(
                condition=models.Q(("substatus__regex", SUBSTATUSES)),
                name="instances_instance_substatus",
            ),
        ),
    ]
