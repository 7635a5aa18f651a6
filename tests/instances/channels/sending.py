"""Sends one message through a channel as the sender does, one step after the other, in this thread."""

from __future__ import annotations

from django.core.files.storage import storages

from hooks import http
from instances.actions.sending.record import SentMessage, record_results
from instances.channels.base import Channel
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Local, Refused, Request, Result, Sent, Uploaded
from instances.models import Instance, OutgoingMessage


def send(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Result:
    """Prepare, request, read and carry out; returns the result, which is not recorded."""
    result = try_once(channel, instance, outgoing)
    return carry_out(channel, instance, outgoing) if is_carried_out(result) else result


def try_once(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Result:
    """Prepare, request and read. What is Local counts as sent, and as to be carried out."""
    message, link = message_to_send(outgoing), channel.link(instance)
    result: Result | None = None
    while result is None or isinstance(result, Uploaded):
        prepared = channel.prepare(message, link, result.value if result else None)
        if isinstance(prepared, Refused):
            return prepared
        if isinstance(prepared, Local):
            return Sent(needs_carry_out=True)
        result = channel.read(prepared, respond(prepared))
    return result


def is_carried_out(result: Result) -> bool:
    return isinstance(result, Sent) and result.needs_carry_out


def carry_out(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Sent | Refused:
    [result] = channel.carry_out([(instance, outgoing)])
    return result


def respond(request: Request) -> http.Response:
    """Make the request, with a real connection."""
    body = request.body
    if request.body_path:
        with storages["media"].open(request.body_path) as file:
            body = file.read()
    return http.send(request.method, request.url, request.headers.items(), body)


def send_waiting(channel: Channel, instance: Instance) -> None:
    """Send and record all messages in the queue of this instance, in order."""
    for outgoing in list(instance.outgoing.waiting().order_by("queue_number")):
        result = send(channel, instance, outgoing)
        assert isinstance(result, Sent), f"{outgoing} is sent: {result}"
        record_results([SentMessage(outgoing, result.acks)])
