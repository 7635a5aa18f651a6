"""The request as the middleware leaves it, for types."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request behind HtmxMiddleware: `request.htmx` is true if htmx made it, and knows its target and trigger."""

    htmx: HtmxDetails
