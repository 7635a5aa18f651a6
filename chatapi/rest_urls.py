"""All URLs under /api/v1/. A missing trailing slash is accepted: a redirected POST would lose its body."""

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path

from chatapi.rest_scopes import SCOPES
from instances.api import urls as instances
from instances.api.scopes import with_scopes
from testing_tools.api import urls as testing_tools

app_name = "instances-api"

ROUTES = (*instances.ROUTES, *testing_tools.ROUTES)


def not_found(request: HttpRequest, path: str) -> JsonResponse:
    """Responds 404 in the format of the REST API. The URL patterns after this one belong to the wire contract."""
    return JsonResponse(
        {"error": f"/api/v1/{path} does not exist. All operations are listed at /api/docs/."}, status=404
    )


urlpatterns = [
    *(path(f"{route}/", with_scopes(view, SCOPES[name]), name=name) for route, view, name in ROUTES),
    *(path(route, with_scopes(view, SCOPES[name])) for route, view, name in ROUTES),
    re_path(r"^(?P<path>.*)$", not_found),
]
