"""Ids of chats and messages of messengers without phone numbers are longer. No row of hooks is read or written."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0030_index_of_long_message_ids")]

    operations = [
        migrations.RemoveIndex(model_name="hook", name="hooks_hook_message"),
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
