"""A sandbox contact remembers until when nothing could reach them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0005_media_source")]

    operations = [
        migrations.AddField(
            model_name="sandboxcontact",
            name="missed_until",
            field=models.DateTimeField(
                blank=True, null=True, verbose_name="what was sent before never arrives"
            ),
        ),
    ]
