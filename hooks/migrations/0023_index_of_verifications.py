"""An index of the running verifications: their notice is on every page, which read all endpoints for it."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0022_planned_is_minimum")]

    operations = [
        AddIndexConcurrently(
            model_name="endpoint",
            index=models.Index(
                condition=models.Q(("override_until__isnull", False)),
                fields=["override_until"],
                name="hooks_endpoint_overridden",
            ),
        ),
    ]
