"""The settings of an instance: the page “More settings”, and saving its form and the form of the flags."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.current_user import current_user
from chatapi.ui.requests import HtmxRequest
from instances.actions.settings import change_settings, read_settings
from instances.channels import offered_channels
from instances.models import Instance
from instances.pages import access
from instances.pages.forms import DeleteForm
from instances.pages.overview.delivery_counts import skipped_today
from instances.pages.overview.views import detail_context
from instances.pages.settings import advanced_settings, submitted_changes
from instances.pages.settings.flag_texts import FLAGS, attempt_times
from instances.pages.settings.setting_rows import build_flag_rows, build_setting_groups
from instances.settings_table import SettingsError

FLAG_NAMES = {flag.name for flag in FLAGS}
ADVANCED_NAMES = {setting.name for setting in advanced_settings.SETTINGS}
SWITCHES = FLAG_NAMES | {setting.name for setting in advanced_settings.SETTINGS if setting.is_switch}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def settings(request: HtmxRequest, number: int) -> HttpResponse:
    """GET: the page. POST: `card` is "flags" or "more", with the fields of the form; htmx gets the new card."""
    if request.method == "POST":
        return save(request, number)
    return render(
        request,
        "instances/pages/settings/settings.html",
        settings_context(access.visible_instance(request, number)),
    )


def settings_context(instance: Instance, **overrides: Any) -> dict[str, Any]:
    return {
        "instance": instance,
        "tab": "settings",
        "groups": build_setting_groups(read_settings(instance)),
        "delete_form": DeleteForm(instance=instance),
        "channels": [(name, label) for name, label in offered_channels() if name != instance.channel],
    } | overrides


def save(request: HtmxRequest, number: int) -> HttpResponse:
    instance = access.changeable_instance(request, number)
    is_flags = request.POST.get("card") == "flags"
    submitted = submitted_changes.read_changes(
        request.POST, FLAG_NAMES if is_flags else ADVANCED_NAMES, SWITCHES
    )
    before = read_settings(instance)
    try:
        changed = change_settings(instance, changes=submitted, acting_user=current_user(request))
    except SettingsError as error:
        refusal = {"save_error": error.sentence}
        rows = build_card_rows(instance, is_flags=is_flags, submitted=submitted, invalid_name=error.key)
        return render_card(request, instance, refusal | rows, is_flags=is_flags, status=422)
    fresh = access.visible_instance(request, number)  # read again: the page shows what was saved
    saved_changes = submitted_changes.describe_changes(before, changed)
    if request.htmx:
        context = {"saved_changes": saved_changes, "nothing_changed": not saved_changes}
        return render_card(
            request, fresh, context | build_card_rows(fresh, is_flags=is_flags), is_flags=is_flags
        )
    messages.success(request, "Saved." if saved_changes else "Nothing to save: these values are already set.")
    if request.POST.get("next") == "history":
        return HttpResponseRedirect(reverse("instances:history", args=[number]))
    url = reverse("instances:detail" if is_flags else "instances:settings", args=[number])
    return HttpResponseRedirect(f"{url}#{'flags' if is_flags else 'more'}")


def build_card_rows(
    instance: Instance, *, is_flags: bool, submitted: dict[str, Any] | None = None, invalid_name: str = ""
) -> dict[str, Any]:
    current = read_settings(instance)
    if is_flags:
        return {
            "flags": build_flag_rows(current, skipped_today(instance), submitted),
            "attempt_times": attempt_times(),
        }
    return {"groups": build_setting_groups(current, submitted, invalid_name)}


def render_card(
    request: HtmxRequest, instance: Instance, context: dict[str, Any], *, is_flags: bool, status: int = 200
) -> HttpResponse:
    """Returns the card with the result of saving; without htmx, the whole page."""
    if request.htmx:
        template = f"instances/pages/settings/{'flags' if is_flags else 'more'}.html"
        return render(request, template, {"instance": instance} | context, status=status)
    if is_flags:
        return render(
            request,
            "instances/pages/overview/overview.html",
            detail_context(instance, **context),
            status=status,
        )
    return render(
        request,
        "instances/pages/settings/settings.html",
        settings_context(instance, **context),
        status=status,
    )
