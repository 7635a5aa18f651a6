"""How long a body may be at each kind of URL, and which requests are refused before their body is read.

A request whose head has arrived and whose body has not is checked in a thread (chatapi/early_refusals.py): an unknown
bin, a wrong token or key, and a long form without a session get their error at once.
"""

import io
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import close_old_connections

from chatapi.runtime.client_address import set_client_address, trusted_networks
from chatapi.runtime.web import response_head
from chatapi.runtime.web.received_request import ReceivedRequest


class BodyRule(NamedTuple):
    """A kind of URL.

    max_bytes     the longest body; a longer one gets 413
    check         name of the function in chatapi/early_refusals.py
    omits_body    whether the view is called without the body if it is too long: bins record such requests
    """

    max_bytes: Callable[[], int]
    check: str
    omits_body: bool = False


def bin_limit() -> int:
    return int(import_module("testing_tools.verification.models").BODY_LIMIT)  # loads models: not at import


def request_limit() -> int:
    return int(settings.REQUEST_MAX_BYTES)


def callback_limit() -> int:
    return int(import_module("instances.callbacks.views").BODY_LIMIT)  # loads models: not at import


def json_limit() -> int:
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


PAGE = BodyRule(request_limit, "for_page")
BIN = BodyRule(bin_limit, "for_bin", omits_body=True)
CONTRACT = BodyRule(request_limit, "for_contract")
REST = BodyRule(json_limit, "for_rest")
CALLBACK = BodyRule(callback_limit, "for_callback")

RULES = (PAGE, BIN, CONTRACT, REST, CALLBACK, CONTRACT)
_KINDS = re.compile(rb"/*(?:(bin/)|(instance[0-9])|(api/v1/)|(channels/)|((?:settings/+)?[^/]+/*$))")


def rule_for(target: bytes) -> BodyRule:
    """Returns the rule for a request target. It has the URLs' form only; the check resolves them."""
    path = target.partition(b"?")[0]
    if b"%" in path:
        path = unquote_to_bytes(path)
    found = _KINDS.match(path)
    return RULES[found.lastindex or 0] if found else PAGE


def check(rule: BodyRule, received: ReceivedRequest, environ: dict[str, Any]) -> tuple[bytes | None, int]:
    """In a thread: returns the whole response that refuses the request, or None, and the limit of its body in bytes.

    May raise database errors.
    """
    from chatapi import early_refusals  # loads models and URLs: not at import
    from chatapi.wsgi import Request

    close_old_connections()
    try:
        set_client_address(environ, trusted_networks())
        length = "" if received.chunked else str(received.length)
        request = Request(environ | {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": length})
        response = getattr(early_refusals, rule.check)(request)
    finally:
        close_old_connections()
    if response is None:
        return None, getattr(request, "max_body_bytes", rule.max_bytes())
    headers = [*response.items(), ("Content-Length", str(len(response.content)))]
    status = f"{response.status_code} {response.reason_phrase}"
    head = response_head.head(status, headers, close=True, length=None, chunked=False)
    return head + bytes(response.content), 0
