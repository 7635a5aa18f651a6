"""The bytes of each bin, found by an index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("testing_tools", "0002_bins_answer_to_order_and_are_shared"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="capture",
            index=models.Index(
                condition=models.Q(("too_large", False)),
                fields=["bin"],
                include=("size",),
                name="testing_capture_size",
            ),
        ),
    ]
