"""Whether scripts of any site may call a bin (CORS)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("testing_tools", "0007_stored_bytes")]

    operations = [
        migrations.AddField(
            model_name="bin",
            name="answer_cors",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
