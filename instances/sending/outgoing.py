"""Sends what is due in the caller's thread and database session: one pass over all queues, with the sender's parts.

For tests and for programs that run no sender. It owns a queue as a sender does, so it may run beside one.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from hooks import database_clock, http
from instances.channels import channel_of
from instances.channels.open_streams import is_to_stream
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Local, Refused, Request, Result, Uploaded, Wait
from instances.models import OutgoingQueue
from instances.sending import claims, tries
from instances.sending.database_threads import add_files
from instances.sending.lanes import Lane, Waiting
from instances.sending.recording import record
from instances.sending.request_bodies import open_body
from instances.sending.tries import Ended, OwnedQueue, Sending

TURN = 100  # messages of a queue


def send_due(now: datetime | None = None) -> int:
    """Send the messages that are due at `now`, up to TURN of each queue; returns how many have left their queues.

    Call it until it returns 0. Of a chat whose message is tried again, the others wait.
    """
    now = now or database_clock.now()
    with owner() as (session, me):
        return sum(
            send_queue(session, me, found.lane, now) for found in sorted(claims.sweep(session, me, now))
        )


class DjangoSession:
    """Django's session of this thread, in its transaction if there is one."""

    def execute(self, query: Any, params: Any = None, /) -> Any:
        cursor = connection.cursor()
        cursor.execute(query, params)
        return cursor


@contextlib.contextmanager
def owner() -> Iterator[tuple[claims.Session, int]]:
    """Yields Django's session, and the number of a run that lives during the block."""
    session, me = DjangoSession(), secrets.randbits(62)
    session.execute("SELECT pg_advisory_lock(%s)", [me])
    try:
        yield session, me
    finally:
        session.execute("SELECT pg_advisory_unlock(%s)", [me])


def send_queue(session: claims.Session, me: int, key: int, now: datetime) -> int:
    """Send the due messages of one queue; returns how many have left it."""
    instances = claims.instances_that_may_send(session, [key], now)
    next_send_at = claims.own(session, me, instances).get(key)
    if next_send_at is None:
        return 0
    try:
        instance = instances[key]
        if instance.send_delay and next_send_at > now:
            return 0
        channel = channel_of(instance)
        queue = OwnedQueue(
            Lane(key, channel.limits, send_delay=instance.send_delay, is_local=True),
            instance,
            channel,
            channel.link(instance),
            0.0,
        )
        queue.lane.add(
            Waiting(
                row.key,
                row.number,
                row.chat_id,
                (row.next_try_at - now).total_seconds() if row.next_try_at else 0.0,
            )
            for row in claims.waiting(session, {key: 0})
        )
        taken = claims.take(session, me, [key], [each.key for each in queue.lane.pick(0.0, TURN)], now)
        if instance.send_delay:
            OutgoingQueue.objects.filter(pk=key).update(
                next_send_at=now + timedelta(seconds=instance.send_delay)
            )
        add_files(taken)
        return record(
            [send(Sending(queue, outgoing, message_to_send(outgoing, channel))) for outgoing in taken], {}
        )
    finally:
        claims.release(session, me, [key])


def send(sending: Sending) -> Ended:
    """Prepare the message and make its requests."""
    channel, link = sending.queue.channel, sending.queue.link
    result: Result | None = None
    while True:
        prepared = channel.prepare(
            sending.message, link, result.value if isinstance(result, Uploaded) else None
        )
        if isinstance(prepared, Local):
            return Ended(sending.queue, sending.outgoing, None)
        if isinstance(prepared, Refused | Wait):
            return tries.end(sending, prepared)
        sending.request = prepared
        response = request_now(prepared, is_exempt=is_to_stream(prepared.url, link))
        result = tries.read_response(sending, response)
        if not (isinstance(result, Uploaded) and prepared.is_upload):
            return tries.end(sending, result, response)


def request_now(request: Request, *, is_exempt: bool) -> http.Response:
    body = request.body
    if request.body_path:
        with open_body(request) as file:
            body = file.read()
    return http.send(request.method, request.url, request.headers.items(), body, is_exempt=is_exempt)
