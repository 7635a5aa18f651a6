"""The functions that find the newest message read its index in their order, whatever the planner expects.

A session keeps the plan of its first call. With few messages at that time, or with statistics from when there were few,
each message read all those that came after it: 97 pages instead of 8 after 2 000 messages. The settings cost 0.1 of 14
µs.
"""

from django.db import migrations

FUNCTIONS = (
    "instances_next_message(bigint, integer, text, timestamptz)",
    "instances_last_number(bigint, integer)",
)
IN_INDEX_ORDER = "SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off"


class Migration(migrations.Migration):
    dependencies = [("instances", "0047_unchecked_numbers")]

    operations = [
        migrations.RunSQL(
            f"ALTER FUNCTION {function} {IN_INDEX_ORDER}", f"ALTER FUNCTION {function} RESET ALL"
        )
        for function in FUNCTIONS
    ]
