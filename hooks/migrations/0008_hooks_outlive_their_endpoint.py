"""The hooks of a deleted instance go afterwards, in small transactions; so no constraint ties them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0007_archived_chats")]

    operations = [
        migrations.AlterField(
            model_name="hook",
            name="endpoint",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="hooks",
                to="hooks.endpoint",
            ),
        ),
    ]
