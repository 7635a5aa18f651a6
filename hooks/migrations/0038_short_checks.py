"""The same rules with texts of 2,300 instead of 9,800 characters, which PostgreSQL reads for each event.

VALIDATE reads all hooks beside readers and writers.
"""

from django.db import migrations, models
from django.db.models.lookups import Exact, GreaterThan, IsNull, Regex

from chatapi.database.checks import ReplaceCheck


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0037_emitted_counts")]

    operations = [
        ReplaceCheck(
            "hook",
            models.CheckConstraint(
                condition=models.Q(
                    ("state__regex", "^(queued|sending|retrying|delivered|failed|skipped|cancelled)$")
                ),
                name="hooks_hook_state",
            ),
        ),
        ReplaceCheck(
            "hook",
            models.CheckConstraint(
                condition=Exact(
                    Exact(models.F("state"), models.Value("skipped")),
                    GreaterThan(models.F("skip_reason"), models.Value("")),
                ),
                name="hooks_hook_skipped_says_why",
            ),
        ),
        ReplaceCheck(
            "hook",
            models.CheckConstraint(
                condition=Exact(
                    IsNull(models.F("finished_at"), True),
                    Regex(models.F("state"), "^(queued|sending|retrying)$"),
                ),
                name="hooks_hook_finished",
            ),
        ),
    ]
