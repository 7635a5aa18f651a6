"""Sends one message through a channel as the sender does, one step after the other, in this thread."""

from __future__ import annotations

from dataclasses import replace

from hooks import http
from instances.actions.sending.record import record_results
from instances.channels.base import Channel
from instances.channels.open_streams import is_to_stream
from instances.channels.queued_messages import message_to_send
from instances.channels.requests import Local, Refused, Request, Result, Sent, Uploaded, Wait
from instances.models import Chat, Instance, Message, OutgoingMessage
from instances.models.queues import MessengerIds
from instances.sending.request_bodies import open_body
from instances.sending.tries import sent_message


def send(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Result:
    """Prepare, request, read and carry out; returns the result, which is not recorded."""
    result = try_once(channel, instance, outgoing)
    if not is_carried_out(result):
        return result
    done = carry_out(channel, instance, outgoing)
    return replace(done, messenger_id=messenger_id_of(result)) if isinstance(done, Sent) else done


def messenger_id_of(result: Result) -> str:
    return result.messenger_id if isinstance(result, Sent) else ""


def try_once(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Result:
    """Prepare, request and read. What is Local counts as sent, and as to be carried out."""
    outgoing.messenger_ids = known_ids(outgoing)
    message, link = message_to_send(outgoing, channel), channel.link(instance)
    result: Result | None = None
    while result is None or isinstance(result, Uploaded):
        prepared = channel.prepare(message, link, result.value if result else None)
        if isinstance(prepared, Refused | Wait):
            return prepared
        if isinstance(prepared, Local):
            return Sent(needs_carry_out=True)
        result = channel.read(prepared, respond(prepared, is_exempt=is_to_stream(prepared.url, link)))
    return result


def known_ids(outgoing: OutgoingMessage) -> MessengerIds:
    """Returns what the sender's claim finds."""
    sent = Message.objects.filter(instance=outgoing.instance_id)

    def id_of(message_id: str) -> str:
        return sent.filter(message_id=message_id).values_list("messenger_id", flat=True).first() or ""

    chat = Chat.objects.filter(instance=outgoing.instance_id, chat_id=outgoing.chat_id).first()
    quoted = id_of((outgoing.quoted or {}).get("id", ""))
    return MessengerIds(
        chat.messenger_chat_id if chat else "", quoted, id_of(outgoing.deletes), id_of(outgoing.forwards)
    )


def is_carried_out(result: Result) -> bool:
    return isinstance(result, Sent) and result.needs_carry_out


def carry_out(channel: Channel, instance: Instance, outgoing: OutgoingMessage) -> Sent | Refused:
    [result] = channel.carry_out([(instance, outgoing)])
    return result


def respond(request: Request, *, is_exempt: bool = False) -> http.Response:
    """Make the request, with a real connection."""
    body = request.body
    if request.body_path:
        with open_body(request) as file:
            body = file.read()
    return http.send(request.method, request.url, request.headers.items(), body, is_exempt=is_exempt)


def send_waiting(channel: Channel, instance: Instance) -> None:
    """Send and record all messages in the queue of this instance, in order."""
    for outgoing in list(instance.outgoing.waiting().order_by("queue_number")):
        result = send(channel, instance, outgoing)
        assert isinstance(result, Sent), f"{outgoing} is sent: {result}"
        record_results([sent_message(outgoing, result)])
