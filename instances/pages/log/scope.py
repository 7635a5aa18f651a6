"""Whose hooks the log shows: those of one instance, or of all instances of the user until one is chosen."""

from __future__ import annotations

from functools import cached_property

from django.http import Http404, HttpRequest

from hooks.models import Endpoint
from instances.models import Instance
from instances.models.instances import InstanceQuerySet
from instances.pages.chosen_instance import chosen_instance
from instances.pages.frame import InstanceFrame
from instances.pages.log.endpoint_names import AllEndpoints, LogEndpoints


class LogScope:
    """`instance` is None for all instances of the user, of which there are several."""

    def __init__(self, visible: InstanceQuerySet, instance: Instance | None) -> None:
        self.visible = visible
        self.instance = instance

    @property
    def is_over_all(self) -> bool:
        return self.instance is None

    @property
    def instances(self) -> InstanceQuerySet:
        """The instances whose hooks are shown."""
        return self.visible if self.instance is None else self.visible.filter(pk=self.instance.pk)

    @cached_property
    def endpoint_ids(self) -> list[int]:
        """The ids of their endpoints, removed ones too; at least one. No query for one instance."""
        if self.instance is not None:
            return self.instance.endpoint.sibling_ids
        return list(Endpoint.objects.of_instances(self.visible).values_list("pk", flat=True))

    @cached_property
    def endpoints(self) -> LogEndpoints | AllEndpoints:
        return AllEndpoints(self.visible) if self.instance is None else LogEndpoints(self.instance)

    def account_ids(self) -> list[int]:
        """The ids of the accounts that the instances belong to. One query for all instances."""
        if self.instance is not None:
            return [self.instance.owner_id]
        return list(self.visible.order_by("owner").values_list("owner", flat=True).distinct())

    @property
    def query(self) -> dict[str, str]:
        """The query parameters of this scope."""
        return {} if self.instance is None else {"instance": str(self.instance.number)}

    @property
    def file_name(self) -> str:
        return "log" if self.instance is None else f"log-{self.instance.number}"


def scope_of(request: HttpRequest) -> LogScope | None:
    """The scope that the URL names: `?instance=`, else all instances. None for a user without instances.

    A user's only instance is always the chosen one. Raises Http404 if `?instance=` names none of the user's.
    """
    frame = InstanceFrame.of(request)
    visible = Instance.objects.visible_to(request.user)
    if "instance" not in request.GET and len(frame.instances) > 1:
        frame.show_all()
        return LogScope(visible, None)
    instance = chosen_instance(request)
    return None if instance is None else LogScope(visible, instance)


def require_scope(request: HttpRequest) -> LogScope:
    """Like scope_of, for what needs an instance. Raises Http404 if there is none."""
    scope = scope_of(request)
    if scope is None:
        raise Http404("No instance yet.")
    return scope
