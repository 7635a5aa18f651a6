"""Stores the version of HTTP of captured requests, and paths longer than 2000 characters. No table is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("testing_tools", "0005_plain_labels"),
    ]

    operations = [
        migrations.AddField(
            model_name="capture",
            name="http_version",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=10, verbose_name="version of HTTP"
            ),
        ),
        migrations.AlterField(
            model_name="capture",
            name="path",
            field=models.TextField(blank=True, default="", verbose_name="path after the key"),
        ),
    ]
