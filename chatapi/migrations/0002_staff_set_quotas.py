"""Lets the groups billing and administrator set the quotas of accounts."""

from django.db import migrations

GROUPS = ("billing", "administrator")


def grant(apps, schema_editor):
    group_of, permission_of, type_of = (
        apps.get_model(*name.split("."))
        for name in ("auth.Group", "auth.Permission", "contenttypes.ContentType")
    )
    content_type, _ = type_of.objects.get_or_create(app_label="accounts", model="account")
    permission, _ = permission_of.objects.get_or_create(
        content_type=content_type, codename="set_quota", defaults={"name": "Can set an account's quotas"}
    )
    for group in group_of.objects.filter(name__in=GROUPS):
        group.permissions.add(permission)


def revoke(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.remove(*group.permissions.filter(codename="set_quota"))


class Migration(migrations.Migration):
    dependencies = [("chatapi", "0001_groups_of_staff"), ("accounts", "0009_quotas")]

    operations = [migrations.RunPython(grant, revoke)]
