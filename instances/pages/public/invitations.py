"""The page behind a group's invite link: it explains the link to users who open it in a browser."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chatapi.ui.request_snippets import short_curl
from instances import payloads
from instances.models import Chat


@require_safe
@never_cache
def invitation(request: HttpRequest, code: str) -> HttpResponse:
    """Public: anyone with the link may join. Shows the group's name, but no members.

    404 for an unknown code, such as that of a group that the account has left.
    """
    group = get_object_or_404(Chat.objects.with_invite_code(code))
    link = payloads.invite_link(code)
    context = {
        "name": group.name or group.chat_id,
        "link": link,
        "curl": short_curl(
            f"{settings.SITE_URL}/instance…/joinGroup?token=…", method="POST", json={"url": link}
        ),
    }
    response = render(request, "instances/pages/public/invitation.html", context)
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
