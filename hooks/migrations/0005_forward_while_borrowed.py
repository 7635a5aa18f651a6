"""While a verification runs, the own address may get a hook of its own for every event."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hooks", "0004_measures")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="borrowed_forwards",
            field=models.BooleanField(db_default=False, default=False, verbose_name="own address too"),
        ),
    ]
