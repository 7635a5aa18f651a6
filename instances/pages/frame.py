"""The instance that the pages are about, for the chooser, and the parts of the frame that need it.

The context processor `instance_frame` gives templates `instance_frame.…`. The database is read only when a template
asks, so fragments for htmx cost nothing. Views take the chosen instance from `current_instance`.
"""

from functools import cached_property
from typing import Any

from django.db.models import Case, When
from django.http import HttpRequest
from django.template import Context
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils import timezone

from chatapi.ui.frame import user_of
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks.log import delays
from hooks.log.delays import Delay
from hooks.models import Endpoint
from instances.models import Instance
from instances.pages import access
from instances.pages.instance_list import search
from instances.pages.overview.first_steps import Step, first_steps

SESSION_KEY = "instance"
# The chooser lists this many instances; its search asks the server for the others.
CHOOSER_SIZE = 50
# A list of this many is seen at a glance.
WITHOUT_SEARCH = 7
# Pages of these URL namespaces are about one instance: `?instance=` selects it. Upper apps add theirs.
_instance_namespaces = {"log", "issues", "statistics", "docs"}
# These pages show all instances until one is chosen; the chooser then has "All instances".
OVER_ALL = ("log:list", "log:redeliveries", "issues:list", "statistics:overview")
# These pages show all first steps, or are one of them; the strip would repeat them.
WITH_CHECKLIST = ("instances:list", "instances:detail", "instances:new", "instances:setup")


def current_instance(request: HttpRequest) -> Instance | None:
    """The instance that the pages are about: the one in the URL (`/instances/<number>/`, `?instance=`), else the
    last one chosen, else the user's first; None for signed-out users and for users without instances.

    The number of another account's instance is ignored. A view that must respond 404 to it looks it up itself.
    """
    return InstanceFrame.of(request).instance


def register_instance_pages(namespace: str) -> None:
    """Pages of this URL namespace are about one instance, which `?instance=` selects."""
    _instance_namespaces.add(namespace)


class InstanceFrame:
    """The instances of one request's user; every property queries the database at most once."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        # REST framework sets None as the user of a page that takes no key; the session has the user.
        self.user = user_of(request)
        self._shown_number: int | None = None
        self.shows_all = False

    @classmethod
    def of(cls, request: HttpRequest) -> "InstanceFrame":
        """The request's one frame; REST framework's own request is unwrapped."""
        request = getattr(request, "_request", request)
        found: InstanceFrame | None = request.__dict__.get("_instance_frame")
        if found is None:
            found = request.__dict__["_instance_frame"] = cls(request)
        return found

    @property
    def is_signed_in(self) -> bool:
        return self.user.is_authenticated

    def show(self, instance: Instance) -> None:
        """The page is about `instance`, which it found through one of its rows: a hook, a redelivery, a bin.

        Then the chooser names it too, whatever the URL or the session say. No query until a template asks.
        """
        self._shown_number = instance.number
        self.__dict__.pop("instance", None)

    def show_all(self) -> None:
        """The page is about all instances of the user; the chooser says so. `instance` is the last one chosen."""
        self.shows_all = True

    @property
    def all_address(self) -> str:
        """The URL of this page for all instances; empty if it is about one."""
        match = self.request.resolver_match
        return self.request.path if match is not None and match.view_name in OVER_ALL else ""

    @cached_property
    def instances(self) -> list[Instance]:
        """The user's instances for the chooser: the first CHOOSER_SIZE."""
        if not self.is_signed_in:
            return []
        visible = Instance.objects.visible_to(self.user).select_related("owner__owner", "endpoint")
        return list(visible[:CHOOSER_SIZE])

    def search(self, words: str) -> list[Instance]:
        """The user's instances that match, as the list of instances finds them: the first CHOOSER_SIZE.

        The one with this number comes first, then those with all the words in their name: a digit is part of many
        phone numbers and URLs.
        """
        visible = Instance.objects.visible_to(self.user).select_related("owner__owner", "endpoint")
        found = search.found(visible, words)
        if words.split():
            rank = Case(
                When(number=parse_digits(words, max_digits=INSTANCE_NUMBER_DIGITS), then=0),
                When(name__icontains=words, then=1),
                When(search.in_name(words), then=2),
                default=3,
            )
            found = found.annotate(name_rank=rank).order_by("name_rank", "pk")
        return list(found[:CHOOSER_SIZE])

    @property
    def has_search(self) -> bool:
        return len(self.instances) > WITHOUT_SEARCH

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

    @property
    def is_chosen(self) -> bool:
        """Whether the user has chosen `instance`, now or on another page; otherwise it is the first one."""
        return self.instance is not None and self.instance.number == self.request.session.get(SESSION_KEY)

    def may_change(self, instance: Instance) -> bool:
        """Whether the user may change `instance`. Queries only for one that the chooser does not list."""
        for own in self.instances:
            if own.pk == instance.pk:
                return own.may_change
        return access.may_change(self.user, instance)

    def asked_number(self) -> int | None:
        """The number of the instance that the page is about, or the one in the URL, if any."""
        if self._shown_number is not None:
            return self._shown_number
        match = self.request.resolver_match
        given = str((match and match.kwargs.get("number")) or self.request.GET.get("instance") or "")
        return parse_digits(given, max_digits=INSTANCE_NUMBER_DIGITS)

    def by_number(self, number: int | None) -> Instance | None:
        if number is None or not self.is_signed_in:
            return None
        for instance in self.instances:
            if instance.number == number:
                return instance
        if self.has_more and number < 2**31:
            visible = Instance.objects.visible_to(self.user).select_related("owner__owner", "endpoint")
            return visible.filter(number=number).first()
        return None

    @cached_property
    def verifications(self) -> list[Endpoint]:
        """The endpoints with a running verification, by end time."""
        if not self.is_signed_in:
            return []
        return list(
            Endpoint.objects.filter(
                instance__in=Instance.objects.visible_to(self.user), override_until__gt=timezone.now()
            )
            .select_related("instance")
            .order_by("override_until")
        )

    @cached_property
    def delay(self) -> Delay | None:
        """How late the hooks of the chosen instance are, and why; of all instances, those that the chooser lists."""
        if self.shows_all:
            return self.longest_delay
        return delays.of_instances([self.instance.pk]) if self.instance else None

    @cached_property
    def longest_delay(self) -> Delay | None:
        """The longest delay of the instances that the chooser lists."""
        return delays.of_instances(instance.pk for instance in self.instances)

    @cached_property
    def steps(self) -> list[Step]:
        """The first-run checklist for the strip on every page; empty for viewers, for users who dismissed it,
        and on pages that show all of it."""
        match, instance = self.request.resolver_match, self.instance
        if instance is None or match is None or match.view_name in WITH_CHECKLIST:
            return []
        if match.namespace not in {"instances", *_instance_namespaces}:
            return []
        dismissed = getattr(self.user, "first_steps_hidden_at", None)  # absent on AnonymousUser
        return [] if dismissed else first_steps(instance)

    @property
    def steps_done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def next_step(self) -> Step | None:
        return next((step for step in self.steps if not step.done), None)

    def address_for(self, instance: Instance, path: str = "") -> str:
        """The URL of the same page for another instance, or that instance's overview if there is none.

        `path` is the page's path if the request is for a part of it.
        """
        try:
            match = resolve(path) if path else self.request.resolver_match
        except Resolver404:
            match = None
        path = path or self.request.path
        if match is not None and match.namespace == "docs":  # also with a receiver's key in the path
            return f"{path}?instance={instance.number}"
        if match is None or match.kwargs.keys() - {"number"}:
            return instance.get_absolute_url()
        if "number" in match.kwargs:
            return reverse(match.view_name, kwargs={"number": instance.number})
        if match.namespace in _instance_namespaces:
            return f"{path}?instance={instance.number}"
        return instance.get_absolute_url()

    @cached_property
    def choices(self) -> list[tuple[Instance, str]]:
        """Each instance with the URL that choosing it leads to."""
        return [(instance, self.address_for(instance)) for instance in self.instances]


def menu_query(request: HttpRequest, url_name: str) -> str:
    """What menu links carry along: the chosen instance.

    Links to pages of OVER_ALL carry none until the user has chosen one.
    """
    frame = InstanceFrame.of(request)
    instance = frame.instance
    if instance is None or (url_name in OVER_ALL and (frame.shows_all or not frame.is_chosen)):
        return ""
    return f"?instance={instance.number}"


def is_read_only(request: HttpRequest, context: Context) -> bool:
    """Whether the user may not change the instance of the page: its `instance`, else the chosen one."""
    match: ResolverMatch | None = request.resolver_match
    if match is None:
        return False
    frame = InstanceFrame.of(request)
    instance = context.get("instance")
    if not isinstance(instance, Instance):
        if frame.shows_all:
            return False
        is_about_one = "number" in match.kwargs or match.namespace in _instance_namespaces - {"docs"}
        instance = frame.instance if is_about_one else None
    if instance is None or not frame.is_signed_in or frame.may_change(instance):
        return False
    return "page_names" not in context  # otherwise the support desk shows it, whose users are no viewers


def instance_frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `instance_frame` in every template that is rendered with a request."""
    return {"instance_frame": InstanceFrame.of(request)}
