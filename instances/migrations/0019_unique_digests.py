"""Finds tokens and invite codes by the unique indexes of their digests."""

from django.db import migrations, models

import chatapi.encryption.fields


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0018_encrypt_tokens"),
    ]

    operations = [
        migrations.AlterField(
            model_name="instance",
            name="token_digest",
            field=chatapi.encryption.fields.DigestField(
                of="token", unique=True, max_length=64, editable=False
            ),
        ),
        migrations.AddConstraint(
            model_name="chat",
            constraint=models.UniqueConstraint(
                name="instances_chat_invite_code",
                fields=["invite_code_digest"],
                condition=~models.Q(invite_code_digest=""),
            ),
        ),
    ]
