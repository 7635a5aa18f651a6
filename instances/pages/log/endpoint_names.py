"""The endpoints of the log's instance, or of all instances: the choices of the filter, and the names on each row."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hooks.models import Endpoint, Hook, PauseReason
from instances.models import Instance
from instances.models.instances import InstanceQuerySet
from instances.pages.endpoints.cards import names_of


class LogEndpoints:
    """The endpoints of one instance, removed ones too: their hooks are still in the log.

    No query for an instance with one endpoint that was loaded with it, otherwise one.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        first = instance.endpoint
        self.all: list[Endpoint] = [first]
        if first.others:
            self.all = sorted(
                instance.endpoints.all(), key=lambda endpoint: (endpoint.is_removed, endpoint.pk)
            )
        self.by_id = {endpoint.pk: endpoint for endpoint in self.all}
        present = [endpoint for endpoint in self.all if not endpoint.is_removed]
        self.names = names_of(present) | {
            endpoint.pk: f"{endpoint} (removed)" for endpoint in self.all if endpoint.is_removed
        }

    @property
    def are_several(self) -> bool:
        return len(self.all) > 1

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The values of the filter with their words; empty for one endpoint."""
        return [(str(endpoint.pk), self.names[endpoint.pk]) for endpoint in self.all if self.are_several]

    def paused(self, ids: Collection[int]) -> list[tuple[Endpoint, str]]:
        """The paused endpoints among these ids, and those whose hooks are being cancelled, with their names.

        The name is empty for one endpoint. If the instance is stopped, all are paused for that reason, and only the
        first of them is returned.
        """
        found = [
            (endpoint, self.names[endpoint.pk] if self.are_several else "")
            for endpoint in self.all
            if endpoint.pk in ids
            and (endpoint.paused_at or endpoint.cancel_up_to is not None)
            and not endpoint.is_removed
        ]
        is_stopped = any(endpoint.pause_reason == PauseReason.STOPPED for endpoint, _ in found)
        return found[:1] if is_stopped else found

    def name_rows(self, hooks: Iterable[Hook]) -> list[Hook]:
        """Sets what log/row.html shows of each hook's endpoint. Returns the hooks.

        `where` is the endpoint's name, and the host of the last attempt if the name does not begin with it; empty for
        one endpoint.
        """
        shown = list(hooks)
        for hook in shown:
            endpoint = self.by_id.get(hook.endpoint_id, self.instance.endpoint)
            name = self.names[endpoint.pk]
            names = [name] if name.startswith(hook.last_host) else [name, hook.last_host]
            hook.shown_endpoint = endpoint  # type: ignore[attr-defined]
            hook.where = " · ".join(names) if self.are_several else ""  # type: ignore[attr-defined]
        return shown


PAUSED_SHOWN = 3  # banners of paused endpoints above the log of all instances


class AllEndpoints:
    """The endpoints of all instances of a user, `visible`; only those that a page shows are read."""

    are_several = False  # there are too many to choose one: the user chooses the instance
    choices: tuple[tuple[str, str], ...] = ()

    def __init__(self, visible: InstanceQuerySet) -> None:
        self.visible = visible

    def paused(self, ids: Collection[int]) -> list[tuple[Endpoint, str]]:
        """The first paused endpoints, with the names of their instances. One query."""
        found = Endpoint.objects.present().of_instances(self.visible).exclude(paused_at=None)
        shown = found.select_related("instance").order_by("-paused_at")[:PAUSED_SHOWN]
        return [(endpoint, str(endpoint.instance)) for endpoint in shown]

    def name_rows(self, hooks: Iterable[Hook]) -> list[Hook]:
        """Sets what log/row.html shows of each hook's endpoint, and its instance with `may_change`. Two queries.

        `where` is the name of the endpoint if it is not the first of its instance, and the host of the last attempt.
        Returns the hooks without those whose instance was deleted, or is not the user's any more, since they were read.
        """
        found = list(hooks)
        endpoints = Endpoint.objects.in_bulk({hook.endpoint_id for hook in found})
        instances = self.visible.in_bulk({endpoint.instance_id for endpoint in endpoints.values()})
        shown = []
        for hook in found:
            endpoint = endpoints.get(hook.endpoint_id)
            if endpoint is None or endpoint.instance_id not in instances:
                continue
            name = "" if endpoint.is_first else str(endpoint)
            names = [hook.last_host] if name in ("", hook.last_host) else [name, hook.last_host]
            hook.shown_endpoint = endpoint  # type: ignore[attr-defined]
            hook.shown_instance = instances[endpoint.instance_id]  # type: ignore[attr-defined]
            hook.where = " · ".join(filter(None, names))  # type: ignore[attr-defined]
            shown.append(hook)
        return shown
