"""The type of a request after the middleware, for annotations."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxRequest(HttpRequest):
    """A request behind HtmxMiddleware: `request.htmx` is true if htmx made it, and knows its target and trigger."""

    htmx: HtmxDetails
