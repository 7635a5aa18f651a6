"""Messages have the time of their chat's last message and its unread messages; see models/last_messages.py.

Changes no row: the rows of chats have both until their next message. Code of before leaves the new columns of messages
empty, and reads times and numbers of chats that may be five minutes old.
"""

from django.db import migrations, models

# What a contact's message at this time is in its chat. VOLATILE, which is the default: each statement in it has a
# snapshot of its own.
CREATE = """
CREATE OR REPLACE FUNCTION instances_next_message(
    of_instance bigint, stored integer, of_chat text, at timestamptz,
    OUT chat_key bigint, OUT chat_name text, OUT is_usual boolean, OUT is_outdated boolean,
    OUT last_time timestamptz, OUT unread integer, OUT number integer
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.id, c.name, NOT c.archived AND NOT c.is_group,
        c.removed_at IS NOT NULL
        OR date_bin('5 minutes', greatest(c.last_time, newest.chat_last_time, at), 'epoch')
            <> date_bin('5 minutes', c.last_time, 'epoch'),
        greatest(c.last_time, newest.chat_last_time, at),
        CASE WHEN newest.number > c.read_number THEN coalesce(newest.chat_unread, c.unread) ELSE c.unread END + 1,
        coalesce((
            SELECT m.number FROM instances_message m
            WHERE m.instance_id = of_instance AND m.number > stored ORDER BY m.number DESC LIMIT 1
        ), stored) + 1
    INTO chat_key, chat_name, is_usual, is_outdated, last_time, unread, number
    FROM instances_chat c LEFT JOIN LATERAL (
        SELECT m.number, m.chat_last_time, m.chat_unread FROM instances_message m
        WHERE m.chat_id = c.id ORDER BY m.number DESC LIMIT 1
    ) newest ON true
    WHERE c.instance_id = of_instance AND c.chat_id = of_chat;
END
$$
"""
DROP = "DROP FUNCTION instances_next_message(bigint, integer, text, timestamptz)"
# For code of before, which reads both in the rows of chats.
STORE = """
UPDATE instances_chat c SET
    last_time = greatest(c.last_time, (
        SELECT m.chat_last_time FROM instances_message m WHERE m.chat_id = c.id ORDER BY m.number DESC LIMIT 1
    )),
    unread = coalesce((
        SELECT m.chat_unread FROM instances_message m WHERE m.chat_id = c.id AND m.number > c.read_number
        ORDER BY m.number DESC LIMIT 1
    ), c.unread)
"""


class Migration(migrations.Migration):
    dependencies = [("instances", "0042_alerts")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="chat_last_time",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="message",
            name="chat_unread",
            field=models.IntegerField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(migrations.RunSQL.noop, STORE),
    ]
