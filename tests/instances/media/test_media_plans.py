"""A file that is dropped finds its messages by an index, or each would look at all messages of all instances."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("instances_message", "instances_message_media"),
        ("instances_outgoingmessage", "instances_outgoing_media"),
    ],
)
def test_the_messages_of_a_file_are_found_by_an_index(table: str, index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL enable_seqscan = off"
        )  # an empty table is read whole, whatever indexes it has
        # what PostgreSQL asks itself when a row is deleted that others point to
        cursor.execute(f"EXPLAIN SELECT 1 FROM ONLY {table} x WHERE media_id = 7 FOR KEY SHARE OF x")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert index in plan
