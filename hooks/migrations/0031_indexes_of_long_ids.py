"""The indexes of a hook's message and chat, which 0030 has removed. Built while the site runs."""

import django.contrib.postgres.indexes
from django.db import migrations, models

from hooks.sql.partitioned_index import AddPartitionedIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("hooks", "0030_long_ids")]

    operations = [
        AddPartitionedIndex(
            model_name="hook",
            index=models.Index(
                fields=["endpoint", "message"],
                name="hooks_hook_message",
                condition=models.Q(("message", ""), _negated=True),
            ),
        ),
        AddPartitionedIndex(
            model_name="hook",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["chat"],
                opclasses=["text_bloom_ops"],
                name="hooks_hook_chat",
                pages_per_range=32,
                autosummarize=True,
            ),
        ),
    ]
