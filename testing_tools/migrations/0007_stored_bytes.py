"""The bytes that each bin stores. Captures of version 0.1.0 count with the size of their body."""

from django.db import migrations, models

COUNT = """
    UPDATE testing_tools_bin SET stored_bytes = sizes.bytes
    FROM (SELECT bin_id, sum(size) AS bytes FROM testing_tools_capture WHERE NOT too_large GROUP BY bin_id) AS sizes
    WHERE sizes.bin_id = testing_tools_bin.id
"""


class Migration(migrations.Migration):
    dependencies = [("testing_tools", "0006_capture_as_sent")]

    operations = [
        migrations.AddField(
            model_name="bin",
            name="stored_bytes",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="capture",
            name="stored_bytes",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
    ]
