"""The REST API's OpenAPI document, and the page that sends its requests.

Generating the document takes 0.8 s of a processor; sixteen simultaneous requests for it delayed every other page by
seconds. docs/openapi.yaml is what the generator writes (`make check` compares them), so the file is served.
"""

import hashlib
import json
from functools import cache
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import condition, require_safe
from django.views.decorators.vary import vary_on_headers
from drf_spectacular.views import SpectacularSwaggerSplitView

from instances.pages.docs.openapi_document import DOCUMENT, parse

YAML, JSON = "application/vnd.oai.openapi", "application/vnd.oai.openapi+json"
# Media types of the Accept header → content type of the response. The first is the default.
CONTENT_TYPES = {YAML: YAML, "application/yaml": YAML, JSON: JSON, "application/json": JSON}


class Document(NamedTuple):
    body: bytes
    etag: str


@cache
def document(content_type: str) -> Document:
    """The document in this format. Read once per process; JSON is converted from YAML, which takes 0.3 s."""
    body = DOCUMENT.read_bytes()
    if content_type == JSON:
        body = json.dumps(parse(body), indent=2, ensure_ascii=False).encode()
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def negotiated_type(request: HttpRequest) -> str:
    """By `?format=yaml` or `?format=json`, otherwise by the Accept header; YAML if the client accepts neither."""
    asked = request.GET.get("format")
    if asked in ("yaml", "json"):
        return JSON if asked == "json" else YAML
    return CONTENT_TYPES[request.get_preferred_type(list(CONTENT_TYPES)) or YAML]


def etag(request: HttpRequest) -> str:
    return document(negotiated_type(request)).etag


@require_safe
@cache_control(public=True, no_cache=True)
@vary_on_headers("Accept")
@condition(etag_func=etag)
def schema(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document; 304 if the client has it."""
    content_type = negotiated_type(request)
    suffix = "json" if content_type == JSON else "yaml"
    return HttpResponse(
        document(content_type).body,
        content_type=f"{content_type}; charset=utf-8",
        headers={"Content-Disposition": f'inline; filename="Chat API.{suffix}"'},
    )


class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, in a page of its own because it takes 0.5 MB.

    Only GET and HEAD: the answer to OPTIONS would need a template of its own.
    """

    http_method_names = ["get", "head"]
