"""Prepares the encryption of tokens and invite codes: columns of any length, and their digests."""

from django.db import migrations

import chatapi.encryption.fields
import instances.models.instances


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0016_stored_files"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="chat", name="instances_chat_invite_code"),
        migrations.AlterField(
            model_name="chat",
            name="invite_code",
            field=chatapi.encryption.fields.EncryptedTextField(bound_to="chat_id", blank=True, default=""),
        ),
        migrations.AddField(
            model_name="chat",
            name="invite_code_digest",
            field=chatapi.encryption.fields.DigestField(
                of="invite_code", blank=True, default="", db_default="", max_length=64, editable=False
            ),
        ),
        migrations.AlterField(
            model_name="instance",
            name="token",
            field=chatapi.encryption.fields.EncryptedTextField(
                bound_to="number", default=instances.models.instances.new_token, editable=False
            ),
        ),
        migrations.AddField(
            model_name="instance",
            name="token_digest",
            field=chatapi.encryption.fields.DigestField(of="token", null=True, max_length=64, editable=False),
        ),
    ]
