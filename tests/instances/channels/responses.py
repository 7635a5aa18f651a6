"""A messenger's response, as the sender gives it to a channel's `read`."""

from __future__ import annotations

import json

from hooks.http import Response
from hooks.models import Outcome


def response(status: int | None, body: object = b"", **headers: str) -> Response:
    """Returns a response with these bytes, or with this value as JSON. `_` in the name of a header is `-`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = [[name.replace("_", "-"), value] for name, value in headers.items()]
    return Response(Outcome.OK if status == 200 else Outcome.NOT_200, status, named, raw, len(raw))
