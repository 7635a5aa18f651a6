"""An index of the waiting hooks that have a URL of their own: they are sent even if their endpoint has none.

It is nearly empty at all times. It is built without a lock, as the table may hold millions of rows.
"""

from django.db import migrations, models

from chatapi.database.concurrent_index import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0013_typed_url")]

    operations = [
        AddIndexAgain(
            model_name="hook",
            index=models.Index(
                condition=models.Q(("to_url", ""), _negated=True)
                & models.Q(("state__in", ("queued", "retrying"))),
                fields=["endpoint"],
                name="hooks_hook_own_url",
            ),
        ),
    ]
