"""When a chat's last message was, and how many are unread: its newest message has both, so that its row seldom changes.

PostgreSQL keeps the former versions of a changed row while a transaction that is older than they are stays open, such
as a pg_dump, and each message would read all of them: 16,931 pages after 8,000 messages of each of four chats. So a
message writes both into its own row, and changes its chat's row only in another PERIOD than the last one. Lists read
an index of the periods, and order the chats of one period after the other by the exact times.

Without a message, or after one of version 0.1.0, which has neither, the chat's row has them.
"""

from __future__ import annotations

from django.db import models
from django.db.models.expressions import RawSQL

# Also in the function instances_next_message() and in two indexes: another length needs a migration.
PERIOD = "date_bin('5 minutes', {}, 'epoch')"
NEWEST = "FROM instances_message m WHERE m.chat_id = {chat}.id{condition} ORDER BY m.number DESC LIMIT 1"
LAST_TIME = "greatest({chat}.last_time, (SELECT m.chat_last_time " + NEWEST.replace("{condition}", "") + "))"
# A read chat has read_number and 0.
UNREAD = (
    "coalesce((SELECT m.chat_unread "
    + NEWEST.replace("{condition}", " AND m.number > {chat}.read_number")
    + "), {chat}.unread)"
)


def period(time: str | models.Value) -> models.Func:
    """Returns the expression of the period in which a time is: of a field, or of a value."""
    return models.Func(
        models.F(time) if isinstance(time, str) else time,
        template=PERIOD.replace("{}", "%(expressions)s"),
        output_field=models.DateTimeField(),
    )


def exact_last_time() -> RawSQL:
    return RawSQL(LAST_TIME.format(chat='"instances_chat"'), (), models.DateTimeField())


def exact_unread() -> RawSQL:
    return RawSQL(UNREAD.format(chat='"instances_chat"'), (), models.IntegerField())
