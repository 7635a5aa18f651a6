"""Adds to IssueMark which transactions had begun at the last run, and to Issue whether it is being mailed.

Rewrites no row.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0039_mailed_issues")]

    operations = [
        migrations.AddField(
            model_name="issuemark",
            name="begun",
            field=models.BigIntegerField(
                db_default=0, default=0, verbose_name="first transaction that had not begun then"
            ),
        ),
        migrations.AddField(
            model_name="issue",
            name="mailing_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="being mailed since"),
        ),
    ]
