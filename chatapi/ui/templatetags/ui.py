"""Tags and filters that every page uses: icons, copy buttons, relative times, states, form controls."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django import forms, template
from django.conf import settings
from django.forms.boundfield import BoundField
from django.template import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from chatapi.ui import durations, frame
from chatapi.ui.states import (
    DELIVERY_STATES,
    ENDPOINT_STATES,
    HOOK_STATES,
    INSTANCE_STATES,
    ISSUE_STATES,
    JOB_RESULTS,
    JOB_STATES,
    LIVE_STATES,
    SIGNATURE_STATES,
    UNLINKED,
    Look,
    look,
)

register = template.Library()

MINUTE = timedelta(minutes=1)
ICONS = Path(settings.FILES_DIR) / "static" / "vendor" / "tabler-icons"


@cache
def drawing(name: str) -> str:
    """The content of an icon file's <svg> element; each file is read once per process."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise template.TemplateSyntaxError(f"{name!r} is not the name of an icon.")
    try:
        text = (ICONS / f"{name}.svg").read_text()
    except FileNotFoundError as error:
        raise template.TemplateSyntaxError(
            f"There is no icon {name!r} in static/vendor/tabler-icons."
        ) from error
    return text[text.index(">") + 1 : text.rindex("</svg>")]


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """The icon `name` as inline SVG, hidden from screen readers: put a word beside it."""
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">{}</svg>',
        css,
        mark_safe(drawing(name)),  # our own vendored file
    )


@register.simple_tag
def stylesheets(names: str) -> SafeString:
    """Links to files of static/css, in this order: `{% stylesheets "layout log" %}`.

    Later files override earlier ones, so the order matters.
    """
    urls = ((static(f"css/{name}.css"),) for name in names.split())
    return format_html_join("", '<link rel="stylesheet" href="{}">', urls)


@register.inclusion_tag("chatapi/ui/copy.html")
def copy(value: Any, label: str = "Copy", css: str = "") -> dict[str, Any]:
    """A button that copies `value`. `label` says what is copied, e.g. "Copy the token"."""
    return {"value": value, "label": label, "css": css}


@register.inclusion_tag("chatapi/ui/select_field.html")
def select_field(
    name: str, label: str, choices: Iterable[tuple[str, str]], value: str = "", empty_label: str = ""
) -> dict[str, Any]:
    """A `<select>` for one filter, with a label for screen readers; its id is `f-<name>`.

    `choices` are pairs of value and words. `empty_label` is the choice that sets no filter, e.g. "Any kind".
    """
    return {"name": name, "label": label, "choices": choices, "value": value, "empty_label": empty_label}


@register.simple_tag(takes_context=True)
def page_is_read_only(context: Context) -> bool:
    """Whether the user may read but not change what this page shows."""
    request = context.get("request")
    return request is not None and frame.is_read_only(request, context)


def relative(moment: datetime, now: datetime) -> str:
    """`moment` as seen from `now`: "just now", "5 min ago", "in 3 h", "12 days ago".

    The past is counted in complete units, the future is rounded: a link valid for 7 days ends "in 7 days" at once.
    """
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    place = next(place for place, (size, _) in enumerate(durations.UNITS) if distance >= size)
    size, unit = durations.UNITS[place]
    if seconds > 0:
        return f"{durations.with_unit(int(distance // size), unit)} ago"
    count = int(distance / size + 0.5)
    if place and count * size >= durations.UNITS[place - 1][0]:  # 60 min are 1 h
        count, unit = 1, durations.UNITS[place - 1][1]
    return f"in {durations.with_unit(count, unit)}"


@register.filter
def elapsed(since: datetime) -> str:
    """The time since `since` in whole minutes: "4 min", "2 h 5 min", "3 days"."""
    return durations.in_words((timezone.now() - since) // MINUTE * MINUTE)


@register.simple_tag
def ago(moment: datetime | None, never: str = "never") -> SafeString | str:
    """A relative time; the absolute time with its zone is shown on hover. app.js updates it."""
    if moment is None:
        return never
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        timezone.localtime(moment).strftime("%-d %B %Y, %H:%M:%S %Z"),
        relative(moment, timezone.now()),
    )


@register.simple_tag
def clock(moment: datetime) -> SafeString:
    """An absolute time with seconds, with the date if it is not today; the relative time is shown on hover.

    app.js shows it in the browser's time zone.
    """
    now = timezone.now()
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localtime(now).date()
    return format_html(
        '<time datetime="{}" title="{}" data-clock>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        f"{relative(moment, now)} · {local:%-d %B %Y, %H:%M:%S %Z}",
        f"{local:%H:%M:%S}" if is_today else f"{local:%-d %b %H:%M:%S}",
    )


@register.simple_tag
def columns(*names: str) -> SafeString:
    """The head of a table: one header cell for each column."""
    cells = format_html_join("", '<th scope="col">{}</th>', ((name,) for name in names))
    return format_html("<thead><tr>{}</tr></thead>", cells)


@register.simple_tag
def badge(look: Look, detail: object = "", bare: bool = False) -> SafeString:
    """A state as a badge with icon and word, and `detail` after the word; `bare`: without a background."""
    return format_html(
        '<span class="state state-{}{}">{}{}{}</span>',
        look.color,
        " state-plain" if bare else "",
        icon(look.icon),
        look.word,
        f" {detail}" if detail else "",
    )


@register.simple_tag
def live_word(state: str) -> str:
    """The word for polling that works ("on") or fails ("off")."""
    return LIVE_STATES[state]


@register.filter
def hook_look(state: str) -> Look:
    """Word, colour and icon of a hook's state."""
    return look(HOOK_STATES, state)


@register.filter
def endpoint_look(state: str) -> Look:
    """Word, colour and icon of an endpoint's state."""
    return look(ENDPOINT_STATES, state)


@register.filter
def job_look(result: str) -> Look:
    """Word, colour and icon of a redelivery's state, or of its result."""
    return look(JOB_STATES | JOB_RESULTS, result)


@register.filter
def issue_look(state: str) -> Look:
    """Word, colour and icon of an issue's state."""
    return look(ISSUE_STATES, state)


@register.filter
def signature_look(state: str) -> Look:
    """Word, colour and icon of the state of a capture's signature."""
    return look(SIGNATURE_STATES, state)


@register.filter
def instance_look(instance: Any) -> Look:
    """Word, colour and icon of what `instance.shown_status` says."""
    if instance.is_unlinked and instance.is_paid:
        return UNLINKED
    return look(INSTANCE_STATES, instance.shown_status)


@register.filter
def delivery_look(instance: Any) -> Look | None:
    """The look of `instance.delivery_state`; None if hooks are delivered."""
    return DELIVERY_STATES.get(instance.delivery_state)


@register.filter
def is_check(field: BoundField) -> bool:
    """Whether the field is a single checkbox; its label follows it."""
    return isinstance(field.field.widget, forms.CheckboxInput)


@register.filter
def is_password(field: BoundField) -> bool:
    """Whether the field is masked; it gets a button that shows it."""
    return isinstance(field.field.widget, forms.PasswordInput)


# The order matters: Edge and Opera also contain "Chrome", and Chrome contains "Safari".
BROWSERS = (
    ("Firefox/", "Firefox"), ("Edg", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("CriOS/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"), ("python", "A Python program"),
)  # fmt: skip
SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@register.filter
def browser(user_agent: str) -> str:
    """The common name, such as "Firefox on Windows", as claimed by the browser."""
    name = next((word for mark, word in BROWSERS if mark in user_agent), "Unknown browser")
    system = next((word for mark, word in SYSTEMS if mark in user_agent), "")
    return f"{name} on {system}" if system else name


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """A field's control with Tabler's classes. Django links help and errors to it."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput | forms.RadioSelect | forms.CheckboxSelectMultiple):
        css = "form-check-input"
    elif isinstance(widget, forms.Select):
        css = "form-select"
    else:
        css = "" if isinstance(widget, forms.PasswordInput) else "form-control"
    own = widget.attrs.get("class", "")
    invalid = " is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": f"{own} {css}{invalid}".strip()})
