"""What stands around every page: the instance chooser, the running verifications, which part one is in.

The context processor `frame` gives templates `frame.…`; nothing is read from the database before a
template asks, so fragments for htmx cost nothing. Views take the chosen instance from `current_instance`.
"""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils import timezone

from hooks.log import delays
from hooks.log.delays import Delay
from hooks.models import Endpoint
from instances.models import Instance
from instances.pages import access
from instances.pages.instance_list import search
from instances.pages.overview.delivery_summary import Step, first_steps
from testing_tools.models import Bin

SESSION_KEY = "instance"
# The chooser lists so many; beyond that its search asks the server for those that fit.
CHOOSER_SIZE = 50
# These pages show the first steps whole, or are a step themselves: the strip that goes along would say it twice.
WITH_CHECKLIST = ("instances:list", "instances:detail", "instances:new", "instances:setup")


def current_instance(request: HttpRequest) -> Instance | None:
    """The instance that the pages are about: of the address (`/instances/<number>/`, `?instance=`), else the
    last one chosen, else the person's first; None for strangers and for those who have none.

    A number of somebody else's counts as no number: whoever must answer 404 to it looks it up itself.
    """
    return Frame.of(request).instance


class Frame:
    """The frame of one request; every property asks the database at most once."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        # REST framework leaves None as the user of a page that takes no key; the session still knows better
        self.user = getattr(request, "user", None) or get_user(request)

    @classmethod
    def of(cls, request: HttpRequest) -> "Frame":
        """The request's one frame; REST framework's own request is unwrapped."""
        request = getattr(request, "_request", request)
        found: Frame | None = request.__dict__.get("_frame")
        if found is None:
            found = request.__dict__["_frame"] = cls(request)
        return found

    @property
    def is_signed_in(self) -> bool:
        return self.user.is_authenticated

    @property
    def mail_is_set_up(self) -> bool:
        """False: mail goes to the server's terminal, and the pages that send some say so."""
        return bool(settings.EMAIL_URL)

    @cached_property
    def instances(self) -> list[Instance]:
        """The person's instances for the chooser, the first CHOOSER_SIZE of them."""
        if not self.is_signed_in:
            return []
        visible = Instance.objects.visible_to(self.user).select_related("owner__owner")
        return [access.hide_secrets(found) for found in visible[:CHOOSER_SIZE]]

    def search(self, words: str) -> list[Instance]:
        """The person's instances that fit, as the list of instances finds them; the first CHOOSER_SIZE."""
        visible = Instance.objects.visible_to(self.user).select_related("owner__owner")
        return [access.hide_secrets(found) for found in search.found(visible, words)[:CHOOSER_SIZE]]

    @property
    def has_more(self) -> bool:
        return len(self.instances) == CHOOSER_SIZE

    @cached_property
    def instance(self) -> Instance | None:
        asked = self.asked_number()
        kept = self.request.session.get(SESSION_KEY) if self.is_signed_in else None
        for number in (asked, kept):
            found = self.by_number(number)
            if found is not None:
                if found.number != kept:
                    self.request.session[SESSION_KEY] = found.number
                return found
        return self.instances[0] if self.instances else None

    def may_change(self, instance: Instance) -> bool:
        """May this person change `instance`? Asks the database only about one that the chooser does not list."""
        for own in self.instances:
            if own.pk == instance.pk:
                return own.may_change
        return access.may_change(self.user, instance)

    def asked_number(self) -> int | None:
        """The number that the address names, if any."""
        match = self.request.resolver_match
        given = str((match and match.kwargs.get("number")) or self.request.GET.get("instance") or "")
        # 10 digits are more than any number has; more would be too large for the database to compare
        return int(given) if given.isascii() and given.isdigit() and len(given) <= 10 else None

    def by_number(self, number: int | None) -> Instance | None:
        if number is None or not self.is_signed_in:
            return None
        for instance in self.instances:
            if instance.number == number:
                return instance
        if self.has_more and number < 2**31:
            visible = Instance.objects.visible_to(self.user).select_related("owner__owner")
            found = visible.filter(number=number).first()
            return access.hide_secrets(found) if found else None
        return None

    @cached_property
    def verifications(self) -> list[Endpoint]:
        """The endpoints whose hooks go to a bin right now, soonest to end first."""
        if not self.is_signed_in:
            return []
        return list(
            Endpoint.objects.filter(
                instance__in=Instance.objects.visible_to(self.user), borrowed_until__gt=timezone.now()
            )
            .select_related("instance")
            .order_by("borrowed_until")
        )

    @cached_property
    def delay(self) -> Delay | None:
        """How late the hooks of the instance are that the pages are about, and why."""
        return delays.of_endpoints([self.instance.pk]) if self.instance else None

    @cached_property
    def longest_delay(self) -> Delay | None:
        """The same over the person's instances, those that the chooser lists."""
        return delays.of_endpoints(instance.pk for instance in self.instances)

    @cached_property
    def section(self) -> str:
        """Which entry of the menu is lit: instances, simulation, verification, sending, phone, mine (the own bin), log,
        contract, api, receivers or account."""
        match = self.request.resolver_match
        if match is None:
            return ""
        if match.namespace == "testing":
            return "mine" if self.is_own_bin(match) else (match.url_name or "").split("-")[0]
        if match.namespace == "docs":
            return "contract" if match.url_name == "contract" else "receivers"
        name = match.namespace or match.url_name or ""
        if name.startswith(("account", "mfa", "usersessions")):
            return "account"
        return name.split("-")[0]

    def is_own_bin(self, match: ResolverMatch) -> bool:
        """Is the page about the person's own bin, which is no instance's?"""
        key = match.kwargs.get("key")
        return bool(key) and Bin.objects.filter(key=key, account__owner=self.user.pk).exists()

    @cached_property
    def steps(self) -> list[Step]:
        """The first-run checklist for the strip that goes along from page to page; empty for viewers, for who has
        put it away, and where the page shows it whole."""
        match, instance = self.request.resolver_match, self.instance
        if instance is None or match is None or match.view_name in WITH_CHECKLIST:
            return []
        if match.namespace not in ("instances", "testing", "log", "docs"):
            return []
        put_away = getattr(self.user, "first_steps_hidden_at", None)  # nobody who is signed out has
        return [] if put_away else first_steps(instance)

    @property
    def steps_done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def next_step(self) -> Step | None:
        return next((step for step in self.steps if not step.done), None)

    def address_for(self, instance: Instance, path: str = "") -> str:
        """The same page for another instance; the instance's own page where the page knows no other.

        `path` is the page's, where the request is for a part of it.
        """
        try:
            match = resolve(path) if path else self.request.resolver_match
        except Resolver404:
            match = None
        path = path or self.request.path
        if match is not None and match.namespace == "docs":
            return f"{path}?instance={instance.number}"
        if match is None or match.kwargs.keys() - {"number"}:
            return instance.get_absolute_url()
        if "number" in match.kwargs:
            return reverse(match.view_name, kwargs={"number": instance.number})
        if match.namespace == "testing" or match.namespace == "log":
            return f"{path}?instance={instance.number}"
        return instance.get_absolute_url()

    @cached_property
    def choices(self) -> list[tuple[Instance, str]]:
        """Each instance with the address that choosing it leads to."""
        return [(instance, self.address_for(instance)) for instance in self.instances]


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `frame` in every template that is rendered with a request."""
    return {"frame": Frame.of(request)}
