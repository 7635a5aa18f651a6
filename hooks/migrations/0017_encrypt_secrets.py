"""Encrypts the signing secrets of endpoints, row by row; can be interrupted and repeated."""

from django.db import migrations

from chatapi.encryption.columns import decrypt_to_plain_text, encrypt_plain_text, plain_column

COLUMNS = [
    plain_column(name, "hooks_endpoint", "instance_id", name, "instance_id")
    for name in ("secret", "previous_secret")
]


def encrypt(apps, schema_editor):
    for column in COLUMNS:
        encrypt_plain_text(column)


def decrypt(apps, schema_editor):
    for column in COLUMNS:
        decrypt_to_plain_text(column)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("hooks", "0016_encrypted_secrets"),
    ]

    operations = [
        migrations.RunPython(encrypt, decrypt),
    ]
