"""Ids of messengers: what they call a chat and a message, and chat ids without a phone number. No row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0025_index_of_linked_instances"),
    ]

    operations = [
        migrations.AddField(
            model_name="channellink",
            name="options",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name="chat",
            name="messenger_chat_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=280),
        ),
        migrations.AddField(
            model_name="instance",
            name="account_chat_id",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=280,
                verbose_name="own chat id without a number",
            ),
        ),
        migrations.AddField(
            model_name="message",
            name="messenger_id",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AlterField(
            model_name="chat",
            name="chat_id",
            field=models.CharField(max_length=280),
        ),
        migrations.AlterField(
            model_name="instance",
            name="channel",
            field=models.CharField(
                choices=[
                    ("sandbox", "Sandbox"),
                    ("whatsapp_cloud", "WhatsApp Business"),
                    ("telegram", "Telegram bot"),
                    ("matrix", "Matrix"),
                    ("xmpp", "XMPP"),
                    ("waha", "Personal WhatsApp (WAHA)"),
                ],
                default="sandbox",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="author",
            field=models.CharField(max_length=280),
        ),
        migrations.AlterField(
            model_name="message",
            name="message_id",
            field=models.CharField(max_length=600),
        ),
        migrations.AlterField(
            model_name="outgoingmessage",
            name="chat_id",
            field=models.CharField(max_length=280),
        ),
        migrations.AlterField(
            model_name="outgoingmessage",
            name="deletes",
            field=models.CharField(
                blank=True, default="", max_length=600, verbose_name="deletes the message"
            ),
        ),
        migrations.AlterField(
            model_name="outgoingmessage",
            name="message_id",
            field=models.CharField(max_length=600),
        ),
        migrations.AlterField(
            model_name="participant",
            name="member",
            field=models.CharField(max_length=280, verbose_name="chat id of the member"),
        ),
        migrations.AlterField(
            model_name="sendingtry",
            name="message_id",
            field=models.CharField(max_length=600),
        ),
    ]
