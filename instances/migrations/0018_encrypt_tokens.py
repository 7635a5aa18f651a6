"""Encrypts the tokens of instances and the invite codes of groups, row by row; can be interrupted and repeated."""

from django.db import migrations

from chatapi.encryption.columns import decrypt_to_plain_text, encrypt_plain_text, plain_column

TOKENS = plain_column("token", "instances_instance", "id", "token", "number")
INVITE_CODES = plain_column("invite code", "instances_chat", "id", "invite_code", "chat_id")


def encrypt(apps, schema_editor):
    encrypt_plain_text(TOKENS, digest_column="token_digest")
    encrypt_plain_text(INVITE_CODES, digest_column="invite_code_digest")


def decrypt(apps, schema_editor):
    decrypt_to_plain_text(TOKENS)
    decrypt_to_plain_text(INVITE_CODES)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("instances", "0017_encrypted_columns"),
    ]

    operations = [
        migrations.RunPython(encrypt, decrypt),
    ]
