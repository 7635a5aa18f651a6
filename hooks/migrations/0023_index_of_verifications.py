"""An index of the running verifications: their notice is on every page, which read all endpoints for it."""

from django.db import migrations, models

from chatapi.database.concurrent_index import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0022_planned_is_minimum")]

    operations = [
        AddIndexAgain(
            model_name="endpoint",
            index=models.Index(
                condition=models.Q(("override_until__isnull", False)),
                fields=["override_until"],
                name="hooks_endpoint_overridden",
            ),
        ),
    ]
