"""Drops two indexes that begin another index too: of attempts by hook, and of hooks by endpoint.

Each attempt and each hook wrote one entry more than any query needed.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0008_hooks_outlive_their_endpoint"),
    ]

    operations = [
        migrations.AlterField(
            model_name="attempt",
            name="hook",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="attempts",
                to="hooks.hook",
            ),
        ),
        migrations.AlterField(
            model_name="hook",
            name="endpoint",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="hooks",
                to="hooks.endpoint",
            ),
        ),
    ]
