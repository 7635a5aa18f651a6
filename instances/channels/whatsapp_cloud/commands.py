"""Marks a chat as read, and shows that the account types: requests about the last message of the contact."""

from __future__ import annotations

from hooks import http
from instances.actions.chats.chats import Denied
from instances.channels.links import link_of_instance
from instances.channels.whatsapp_cloud import graph
from instances.channels.whatsapp_cloud.errors import read_error
from instances.models import Instance


def mark_read(instance: Instance, wamid: str, *, is_typing: bool = False) -> None:
    """Mark the messages up to this one as read; `is_typing` shows for 25 s that someone answers.

    Nothing is done without an id: the contact has not written yet. Raises Denied with WhatsApp's reason.
    """
    if not wamid:
        return
    link = link_of_instance(instance)
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    typing = {"typing_indicator": {"type": "text"}} if is_typing else {}
    request = graph.post(link, link.external_id, "messages", body=body | typing)
    response = http.send(request.method, request.url, request.headers.items(), request.body)
    if response.status != 200:
        reason = getattr(read_error(response), "reason", "") if response.status else ""
        raise Denied(reason or "WhatsApp did not respond.")
