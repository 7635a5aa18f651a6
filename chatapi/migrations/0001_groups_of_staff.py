"""The three groups of staff and what each may do: support, billing, administrator.

The rights are made here if they are not there yet: Django makes those of models only after the last migration.
"""

from django.db import migrations

# what each may look at, on the staff desk
SUPPORT_SEES = {
    "accounts": ("user", "account", "member", "invitation", "accountkey", "payment", "auditentry"),
    "instances": ("instance",),
    "hooks": ("endpoint", "hook", "attempt", "redelivery", "runner"),
    "testing_tools": ("bin",),
    "django_q": ("schedule", "ormq", "failure", "success"),
}
BILLING_SEES = {
    "accounts": ("user", "account", "payment", "auditentry"),
    "instances": ("instance",),
}
NAMES = {
    "add_payment": "Can add payment",
    "change_user": "Can change user",
    "block_account": "Can block and unblock accounts",
    "look_at_account": "Can look at an account's pages, read-only",
    "stop_instance": "Can stop and start instances",
    "log_out_instance": "Can log instances out",
    "cancel_hook": "Can cancel hooks that wait",
    "view_body": "Can read the bodies of hooks and answers",
}
SUPPORT_DOES = (
    ("accounts", "account", "look_at_account"),
    ("instances", "instance", "stop_instance"),
    ("instances", "instance", "log_out_instance"),
    ("hooks", "hook", "cancel_hook"),
)
BILLING_DOES = (("accounts", "payment", "add_payment"),)
ADMINISTRATOR_DOES = (
    *SUPPORT_DOES,
    *BILLING_DOES,
    ("accounts", "user", "change_user"),
    ("accounts", "account", "block_account"),
    ("hooks", "hook", "view_body"),
)
GROUPS = {
    "support": (SUPPORT_SEES, SUPPORT_DOES),
    "billing": (BILLING_SEES, BILLING_DOES),
    "administrator": (SUPPORT_SEES, ADMINISTRATOR_DOES),
}


def make(apps, schema_editor):
    group_of, permission_of, type_of = (
        apps.get_model(*name.split("."))
        for name in ("auth.Group", "auth.Permission", "contenttypes.ContentType")
    )

    def right(app, model, codename, name):
        content_type, _ = type_of.objects.get_or_create(app_label=app, model=model)
        return permission_of.objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )[0]

    for group_name, (sees, does) in GROUPS.items():
        rights = [
            right(app, model, f"view_{model}", f"Can view {model}")
            for app, models in sees.items()
            for model in models
        ]
        rights += [right(app, model, codename, NAMES[codename]) for app, model, codename in does]
        group, _ = group_of.objects.get_or_create(name=group_name)
        group.permissions.set(rights)


def unmake(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_audit_trail"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("hooks", "0006_stopped_and_blocked"),
        ("instances", "0004_stop_reason"),
        ("testing_tools", "0001_initial"),
    ]

    operations = [migrations.RunPython(make, unmake)]
