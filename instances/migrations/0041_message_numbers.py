"""The number of an instance's newest message comes from the messages; see message_numbers.py. Changes no row.

The column last_message_number keeps its value: up to there, messages may have been deleted. Code of before would give
numbers twice, so its processes are stopped, as for the other migrations from 0.1.0.
"""

from django.db import migrations, models

# VOLATILE, which is the default: each statement in it has a snapshot of its own.
CREATE = """
CREATE OR REPLACE FUNCTION instances_last_number(of_instance bigint, stored integer) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce((
        SELECT number FROM instances_message
        WHERE instance_id = of_instance AND number > stored ORDER BY number DESC LIMIT 1
    ), stored);
END
$$
"""
DROP = "DROP FUNCTION instances_last_number(bigint, integer)"
# For code of before, which counts in this column.
STORE = """
UPDATE instances_instance i SET last_message_number = instances_last_number(i.id, i.last_message_number)
"""


class Migration(migrations.Migration):
    dependencies = [("instances", "0040_short_checks")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="instance",
                    name="last_message_number",
                    field=models.PositiveIntegerField(
                        default=0, editable=False, db_column="last_message_number"
                    ),
                ),
                migrations.RenameField(
                    model_name="instance", old_name="last_message_number", new_name="stored_message_number"
                ),
            ],
        ),
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(migrations.RunSQL.noop, STORE),
    ]
