"""Lets the groups support and administrator resend hooks of any account."""

from django.db import migrations

GROUPS = ("support", "administrator")


def grant(apps, schema_editor):
    group_of, permission_of, type_of = (
        apps.get_model(*name.split("."))
        for name in ("auth.Group", "auth.Permission", "contenttypes.ContentType")
    )
    content_type, _ = type_of.objects.get_or_create(app_label="hooks", model="hook")
    permission, _ = permission_of.objects.get_or_create(
        content_type=content_type,
        codename="resend_hook",
        defaults={"name": "Can resend hooks of any account"},
    )
    for group in group_of.objects.filter(name__in=GROUPS):
        group.permissions.add(permission)


def revoke(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.remove(*group.permissions.filter(codename="resend_hook"))


class Migration(migrations.Migration):
    atomic = False  # a few rows, and a second run changes nothing

    dependencies = [("chatapi", "0002_staff_set_quotas"), ("hooks", "0042_load_samples")]

    operations = [migrations.RunPython(grant, revoke)]
