"""Ids of chats and messages of messengers without phone numbers are longer. No row of hooks is read or written.

The indexes of both columns are built again by 0031, while the site runs: PostgreSQL would build those of each partition
again with the table locked. Until then, the log's filters by message and chat and webhookStatus are slow.
"""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0029_index_of_attempts")]

    operations = [
        migrations.RemoveIndex(model_name="hook", name="hooks_hook_message"),
        migrations.RemoveIndex(model_name="hook", name="hooks_hook_chat"),
        migrations.AlterField(
            model_name="hook",
            name="chat",
            field=models.CharField(blank=True, default="", max_length=280),
        ),
        migrations.AlterField(
            model_name="hook",
            name="message",
            field=models.CharField(blank=True, default="", max_length=600, verbose_name="message id"),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="chat_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=280),
                blank=True,
                db_default=[],
                default=list,
                size=None,
            ),
        ),
    ]
