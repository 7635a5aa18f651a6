"""Rewrites stored e-mail addresses with a non-ASCII domain in A-labels, unless that address is stored too."""

from django.db import migrations


def rewrite(apps, schema_editor):
    from accounts.email_addresses import normal_address

    for app, name in (("accounts", "User"), ("account", "EmailAddress"), ("accounts", "Invitation")):
        rows = apps.get_model(app, name).objects
        for row in rows.filter(email__regex=r"@.*[^\x01-\x7f]"):
            address = normal_address(row.email)
            if address != row.email and not rows.filter(email=address).exists():
                rows.filter(pk=row.pk).update(email=address)


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("accounts", "0007_plain_labels"),
    ]

    operations = [
        migrations.RunPython(rewrite, migrations.RunPython.noop),
    ]
