from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_key_scopes"),
    ]

    operations = [
        ValidateConstraint("accountkey", "account_key_has_a_scope"),
    ]
