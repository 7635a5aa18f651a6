"""The URL that would have worked, where a failed attempt's response names it."""

from __future__ import annotations

from hooks.explain.failure_causes import USE_HTTPS
from hooks.explain.sentences import explain, header, is_login_page, redirect_target
from hooks.models import Attempt, Outcome
from hooks.urls import webhook_urls


def suggested_url(attempt: Attempt) -> str:
    """Returns the URL to set instead, in the form in which hooks are sent to it; empty if there is none.

    It is the target of a redirect, or the same URL with https:// for a port that expects TLS. A login page is no
    target, and https:// is never replaced by http://, which would send messages unencrypted.
    """
    if attempt.outcome == Outcome.REDIRECT:
        location = header(attempt.response_headers, "location")
        # other characters than ASCII: the bytes of an unknown charset
        found = redirect_target(attempt.url, location) if location.isascii() else ""
        if is_login_page(found, url=attempt.url):
            return ""
    elif attempt.url.startswith("http://") and explain(attempt).next_step == USE_HTTPS:
        found = attempt.url.replace("http://", "https://", 1)
    else:
        return ""
    try:
        url = webhook_urls.check(found)
    except webhook_urls.InvalidUrl:
        return ""
    is_less_safe = attempt.url.startswith("https://") and not url.startswith("https://")
    return "" if url == attempt.url or is_less_safe else url
