"""The message templates of a WhatsApp Business account."""

from __future__ import annotations

from instances.channels.base import CannotDo
from instances.channels.receiving import MAX_LIST_BYTES, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.responses import json_object, words
from instances.channels.templates import Template
from instances.channels.whatsapp_cloud import graph
from instances.channels.whatsapp_cloud.errors import sentence_of

NO_ACCOUNT = (
    "The WhatsApp Business account id is not known: enter it where the number is linked, to list templates."
)
PAGE = 100  # templates of one request
MAX_PAGES = 5
SECONDS = 10.0  # for each request
FIELDS = "name,language,status,category,components"


async def read(link: Link, network: Network) -> list[Template]:
    """Returns up to MAX_PAGES × PAGE templates, in WhatsApp's order."""
    account = link.options.get(graph.BUSINESS_ACCOUNT)
    if not account:
        raise CannotDo(NO_ACCOUNT)
    found: list[Template] = []
    query = {"fields": FIELDS, "limit": str(PAGE)}
    for _ in range(MAX_PAGES):
        request = graph.get(link, account, "message_templates", **query)
        response = await network.send(request, seconds=SECONDS, max_bytes=MAX_LIST_BYTES)
        body = json_object(response)
        if response.status != 200:
            error = body.get("error")
            said = sentence_of(error) if isinstance(error, dict) else f"It responded with {response.status}."
            raise ReceiveFailed(f"WhatsApp did not list the templates. {said}")
        for one in graph.objects(body, "data"):
            found.append(
                Template(
                    words(one.get("name")),
                    words(one.get("language")),
                    words(one.get("status")),
                    words(one.get("category")),
                    graph.objects(one, "components"),
                )
            )
        paging = body.get("paging")
        cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
        after = cursors.get("after") if isinstance(cursors, dict) else None
        if not isinstance(after, str) or not after:
            break
        query["after"] = after
    return found
