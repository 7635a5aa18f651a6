"""Takes a messenger's callback: finds its instance by the secret, checks it, stores it and responds.

Two statements and no event: messengers want a response within milliseconds, and send a callback again if it is late.
The events are recorded afterwards (instances/receiving/callbacks.py).
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from chatapi.encryption.cipher import UNREADABLE, UnreadableSecret, token_digest
from instances.actions.callbacks import store_callback
from instances.channels.links import link_of
from instances.channels.masking import mask_header, mask_text
from instances.channels.receiving import KEY_LENGTH, CallbackRequest, Reply, Store
from instances.models import ChannelLink
from instances.receiving.links import pushing_channel

BODY_LIMIT = 4 * 1024 * 1024  # bytes


@csrf_exempt
@require_http_methods(["GET", "POST"])
def callback(request: HttpRequest, channel: str, secret: str) -> HttpResponse:
    """Stores a POST or GET of the messenger, or completes its verification handshake.

    404 for an unknown secret or channel, 405 for another method, 413 for a body over BODY_LIMIT, 503 if the credentials
    cannot be decrypted; else what the channel says.
    """
    link = find_link(channel, secret)
    pushing = pushing_channel(channel)
    if link is None or pushing is None:
        return unknown_callback()
    body = request.read(BODY_LIMIT + 1)  # `request.body` has a lower limit, that of forms
    if len(body) > BODY_LIMIT:
        return respond(Reply(413, f"A callback may have up to {BODY_LIMIT // 1024**2} MiB.\n"))
    try:
        seen = link_of(link)
    except UnreadableSecret:
        return respond(Reply(503, f"{UNREADABLE}\n"))
    received = CallbackRequest(
        request.method or "",
        request.META.get("QUERY_STRING", ""),
        tuple(request.headers.items()),
        body,
    )
    checked = pushing.check_callback(seen, received)
    if isinstance(checked, Store):
        store_callback(
            link.instance,
            key=checked.key[:KEY_LENGTH] or received.digest(),
            method=received.method,
            query=mask_text(received.query, seen),
            headers=[(name, mask_header(name, value, seen)) for name, value in received.headers],
            body=received.body,
        )
        return respond(checked.reply)
    return respond(checked)


def find_link(channel: str, secret: str) -> ChannelLink | None:
    """Returns the link with this callback URL, with its instance. One query."""
    links = ChannelLink.objects.select_related("instance")
    return links.filter(callback_digest=token_digest(secret), channel=channel).first()


def respond(reply: Reply) -> HttpResponse:
    return HttpResponse(reply.body.encode(), content_type=reply.content_type, status=reply.status)


def unknown_callback() -> HttpResponse:
    return respond(Reply(404, "No instance has this callback URL.\n"))
