"""Small tags that every page uses: {% icon %}, {% copy %}, {% ago %} and {% instance_state %}.

Words and colours of states stand here once, so that no page says the same thing differently.
"""

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from django import forms, template
from django.conf import settings
from django.forms.boundfield import BoundField
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from instances.models import Instance
from instances.pages.frame import Frame

register = template.Library()

ICONS = Path(settings.BASE_DIR) / "static" / "vendor" / "tabler-icons"


class Look(NamedTuple):
    """How a state is shown: always a word, a colour of Tabler's and an icon of static/vendor/tabler-icons."""

    word: str
    color: str
    icon: str


# hooks.models.State
HOOK_STATES = {
    "queued": Look("Queued", "secondary", "clock"),
    "sending": Look("Sending", "azure", "send"),
    "retrying": Look("Retrying", "orange", "repeat"),
    "delivered": Look("Delivered", "green", "circle-check"),
    "failed": Look("Failed", "red", "circle-x"),
    "skipped": Look("Skipped", "secondary", "player-skip-forward"),
    "cancelled": Look("Cancelled", "secondary", "ban"),
}
# hooks.models.JobState
JOB_STATES = {
    "planned": Look("Planned", "secondary", "clock"),
    "running": Look("Running", "azure", "player-play"),
    "paused": Look("Paused", "orange", "player-pause"),
    "finished": Look("Finished", "green", "circle-check"),
    "cancelled": Look("Cancelled", "secondary", "ban"),
}
# instances.models.AccountStatus, and `not_paid`, which hides all the others
INSTANCE_STATES = {
    "init": Look("Starting", "azure", "loader-2"),
    "loading": Look("Loading", "azure", "loader-2"),
    "got qr code": Look("Waiting for the scan", "orange", "qrcode"),
    "authenticated": Look("Authenticated", "green", "circle-check"),
    "not_paid": Look("Not paid", "red", "credit-card"),
}


@cache
def drawing(name: str) -> str:
    """What stands inside the <svg> of an icon file; each file is read once in the life of a process."""
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
    """The icon `name` as inline SVG, hidden from screen readers: a word must stand beside it."""
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">{}</svg>',
        css,
        mark_safe(drawing(name)),  # our own vendored file
    )


@register.inclusion_tag("chatapi/ui/copy.html")
def copy(value: Any, label: str = "Copy", css: str = "") -> dict[str, Any]:
    """A button that copies `value`. `label` says what is copied, e.g. "Copy the token"."""
    return {"value": value, "label": label, "css": css}


@register.simple_tag(takes_context=True)
def looks_only(context: Context) -> bool:
    """Is this page about an instance that its reader may not change? `instance` of the page, else the chosen one."""
    request = context.get("request")
    if request is None or request.resolver_match is None:
        return False
    around = Frame.of(request)
    instance = context.get("instance")
    if not isinstance(instance, Instance):
        match = request.resolver_match
        about_one = "number" in match.kwargs or match.namespace in ("testing", "log")
        instance = around.instance if about_one else None
    return instance is not None and around.is_signed_in and not around.may_change(instance)


def relative(moment: datetime, now: datetime) -> str:
    """`moment` as seen from `now`: "just now", "5 min ago", "in 3 h", "12 days ago"."""
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < 5:
        return "just now"
    units = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((size, unit) for size, unit in units if distance >= size)
    count = int(distance // size)
    words = f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


@register.simple_tag
def ago(moment: datetime | None, never: str = "never") -> SafeString | str:
    """A time in relative words, absolute with its zone on hover; app.js keeps the words true."""
    if moment is None:
        return never
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        timezone.localtime(moment).strftime("%-d %B %Y, %H:%M:%S %Z"),
        relative(moment, timezone.now()),
    )


@register.filter
def hook_look(state: str) -> Look:
    """Word, colour and icon of a hook's state; an unknown one is shown as it is written."""
    return HOOK_STATES.get(str(state)) or Look(str(state), "secondary", "circle-dashed")


@register.filter
def job_look(state: str) -> Look:
    """Word, colour and icon of a redelivery's state."""
    return JOB_STATES[str(state)]


@register.filter
def instance_look(instance: Any) -> Look:
    """Word, colour and icon of an instance's state."""
    status = str(instance.shown_status)
    return INSTANCE_STATES.get(status) or Look(status, "secondary", "circle-dashed")


class Phase(NamedTuple):
    """One phase of an attempt on the bar: x and width in thousandths of the whole."""

    name: str
    key: str
    ms: float
    x: float
    width: float


@register.filter
def phases(attempt: Any) -> list[Phase]:
    """The phases of an attempt that were reached, from libcurl's marks (hooks.Attempt: ms since the start)."""
    marks = (
        ("Name look-up", "name", attempt.name_ms),
        ("Connect", "connect", attempt.connect_ms),
        ("TLS", "tls", attempt.tls_ms),
        ("First byte", "first", attempt.first_byte_ms),
        ("Rest", "rest", attempt.total_ms),
    )
    whole = max([attempt.total_ms or 0, *(mark or 0 for _, _, mark in marks)])
    if not whole:
        return []
    found, reached = [], 0.0
    for name, key, mark in marks:
        if (
            mark is None or mark <= reached
        ):  # not reached, or a phase this attempt had none of (plain http: TLS)
            continue
        found.append(
            Phase(name, key, mark - reached, 1000 * reached / whole, 1000 * (mark - reached) / whole)
        )
        reached = mark
    return found


@register.filter
def is_check(field: BoundField) -> bool:
    """Is the field a single box to tick? It is drawn with its label behind it."""
    return isinstance(field.field.widget, forms.CheckboxInput)


@register.filter
def is_password(field: BoundField) -> bool:
    """Is the field masked? It gets a button that shows it."""
    return isinstance(field.field.widget, forms.PasswordInput)


# In this order: Edge and Opera also say that they are Chrome, and Chrome that it is Safari.
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
    """What a person calls it: "Firefox on Windows". It says what the browser claims, no more."""
    name = next((word for mark, word in BROWSERS if mark in user_agent), "Unknown browser")
    system = next((word for mark, word in SYSTEMS if mark in user_agent), "")
    return f"{name} on {system}" if system else name


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The control of a form's field in Tabler's classes; Django itself ties help and errors to it."""
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
