"""Migrations instances.0026 and hooks.0030: ids become longer, and no table or index is written again meanwhile."""

import re

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from hooks.maintenance import old_indexes
from hooks.models import Endpoint, Hook
from instances import chat_ids
from instances.models import Message

BEFORE = [("instances", "0025_index_of_linked_instances"), ("hooks", "0029_index_of_attempts")]
AFTER = [("instances", "0026_ids_of_messengers"), ("hooks", "0030_long_ids")]
# Tables that may have millions of rows, with their partitions and indexes.
FILES = """
    SELECT c.relname, c.relfilenode FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relfilenode <> 0
        AND coalesce(i.indrelid, c.oid)::regclass::text ~
            '^(hooks_hook|hooks_attempt|instances_(chat|message|outgoingmessage|participant|sendingtry)$)'
"""


# The indexes that 0030 removes and 0031 builds while the site runs; on partitions PostgreSQL may have named them.
RENEWED = re.compile(r"hooks_hook_(\w+_)?(message|chat)(_\w+)?")


def is_renewed(name: str) -> bool:
    return RENEWED.fullmatch(name) is not None


def files() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(FILES)
        return dict(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_no_large_table_or_index_is_rewritten() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    before = files()
    assert {"instances_message", "instances_message_id", "instances_chat_once"} < set(before)
    indexes = set(filter(is_renewed, before))
    assert indexes
    executor = MigrationExecutor(connection)
    executor.migrate(AFTER)
    after = files()
    assert after == {name: file for name, file in before.items() if name not in indexes}

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    old_indexes.build()  # another test may have left a partition of before
    assert sum(map(is_renewed, files())) == len(indexes)


def test_the_longest_ids_fit_into_every_table() -> None:
    person, group = (
        chat_ids.of_native("telegram", "x" * chat_ids.NATIVE_LENGTH, is_group=is_group)
        for is_group in (False, True)
    )
    message_id = chat_ids.message_id(group, author=person, from_me=False, key="k")
    assert len(group) <= chat_ids.CHAT_ID_LENGTH
    assert len(message_id) <= chat_ids.MESSAGE_ID_LENGTH
    lengths = {
        (Hook, "chat"): chat_ids.CHAT_ID_LENGTH,
        (Hook, "message"): chat_ids.MESSAGE_ID_LENGTH,
        (Message, "author"): chat_ids.CHAT_ID_LENGTH,
        (Message, "message_id"): chat_ids.MESSAGE_ID_LENGTH,
    }
    for (model, name), length in lengths.items():
        assert model._meta.get_field(name).max_length == length  # type: ignore[union-attr]
    chat_field = Endpoint._meta.get_field("chat_ids").base_field
    assert chat_field.max_length == chat_ids.CHAT_ID_LENGTH
