"""Keeps the webhook URL as it was typed. Adding a column with a constant default does not rewrite the table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("hooks", "0012_plain_labels"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="typed_url",
            field=models.CharField(blank=True, db_default="", default="", max_length=2000),
        ),
    ]
