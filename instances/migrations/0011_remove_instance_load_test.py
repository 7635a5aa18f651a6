"""Load-test instances are known by their account and name (instances/actions/load_test.py), as they always had both."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("instances", "0010_files_are_found_by_their_messages")]

    operations = [migrations.RemoveField(model_name="instance", name="load_test")]
