"""Prepares the encryption of signing secrets: columns of any length."""

from django.db import migrations

import chatapi.encryption.fields
import hooks.models.endpoints


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0015_staff_search"),
    ]

    operations = [
        migrations.AlterField(
            model_name="endpoint",
            name="secret",
            field=chatapi.encryption.fields.EncryptedTextField(
                "signing secret", bound_to="instance_id", default=hooks.models.endpoints.new_secret
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="previous_secret",
            field=chatapi.encryption.fields.EncryptedTextField(
                "previous signing secret", bound_to="instance_id", blank=True, default=""
            ),
        ),
    ]
