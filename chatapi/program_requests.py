"""Requests of programs skip the middleware of pages: sessions, sign-in, CSRF, messages, staff, htmx, static files.

The wire contract, REST and callbacks of messengers read no cookie, and handle their errors themselves. These
middleware, the request log and the search through all URLs were about a third of the CPU that the web process needed
for a `sendMessage`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from allauth.core import context
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, URLResolver, include, path
from django.urls.resolvers import RegexPattern

from chatapi.error_pages import DeletedMeanwhile
from chatapi.hosts import without_cookies
from chatapi.middleware import CALLBACKS, OF_AN_INSTANCE, REST, program_headers
from chatapi.monitoring.request_log import log_program_request

Respond = Callable[[HttpRequest], HttpResponse]
# A client calls the same few URLs. Going through the list of URLs takes a fifth of the CPU of a call without queries.
MATCHES = 2048  # paths whose view is remembered
MAX_PATH = 200  # characters; longer paths are not remembered


class ProgramRequests:
    """Middleware: requests of programs get PROGRAM_MIDDLEWARE, all others the rest of settings.MIDDLEWARE."""

    def __init__(self, get_response: Respond) -> None:
        # Imports models, which are not loaded yet when this module is imported.
        from instances.contract import urls  # noqa: F401 - registers the methods
        from instances.contract.registry import find_method

        self.find_method = find_method
        self.get_page = get_response
        handler = ProgramHandler()
        handler.load_middleware()
        self.get_program_response: Any = handler._middleware_chain

    def __call__(self, request: HttpRequest) -> HttpResponse:
        get_response = self.get_program_response if self.is_of_program(request.path_info) else self.get_page
        return get_response(request)

    def is_of_program(self, path: str) -> bool:
        """Whether the URL is REST's, a callback or the wire contract's.

        A browser gets a page for an unknown method's name.
        """
        return (
            path.startswith((REST, CALLBACKS))
            or OF_AN_INSTANCE.match(path) is not None
            or self.find_method(path.strip("/")) is not None
        )


def with_request_context(get_response: Respond) -> Respond:
    """Middleware: notices read where a change comes from (accounts/notices.py), as with allauth's own middleware."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with context.request_context(request):
            return get_response(request)

    return middleware


EXCEPTION_MIDDLEWARE: tuple[type[Any], ...] = (DeletedMeanwhile,)
PROGRAM_MIDDLEWARE: tuple[Callable[[Any], Any], ...] = (
    program_headers,
    without_cookies,
    with_request_context,
    log_program_request,
)


class ProgramHandler(BaseHandler):
    """Django's handler with PROGRAM_MIDDLEWARE, and with the URLs of programs alone."""

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = [
            middleware(self.get_response).process_exception for middleware in EXCEPTION_MIDDLEWARE
        ]
        chain: Any = convert_exception_to_response(self._get_response)
        for middleware in reversed(PROGRAM_MIDDLEWARE):
            chain = convert_exception_to_response(middleware(chain))
        self._middleware_chain = chain
        self.urls = URLResolver(
            RegexPattern(r"^/"),
            [
                path(REST.removeprefix("/"), include("chatapi.rest_urls")),
                path("", include("instances.callbacks.urls")),
                path("", include("instances.contract.urls")),
            ],
        )

        self.find_match = lru_cache(maxsize=MATCHES)(self.urls.resolve)

    def _get_response(self, request: HttpRequest) -> Any:
        """Django's, for views that are functions without a transaction and responses without a template.

        Django asks at each call whether the view is a coroutine, and so is its response.
        """
        view, arguments, keywords = self.resolve_request(request)
        try:
            response: Any = view(request, *arguments, **keywords)
            return response.render() if hasattr(response, "render") else response
        except Exception as error:
            response = self.process_exception_by_middleware(error, request)
            if response is None:
                raise
            return response

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        path = request.path_info
        match = self.find_match(path) if len(path) <= MAX_PATH else self.urls.resolve(path)
        request.resolver_match = match
        return match
