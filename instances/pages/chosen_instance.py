"""Which instance a testing page or the log is about."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from instances.models import Instance
from instances.pages import access
from instances.pages.frame import InstanceFrame


def chosen_instance(request: HttpRequest) -> Instance | None:
    """The frame's instance, or None for a person who has none; 404 when `?instance=` names none of theirs."""
    frame = InstanceFrame.of(request)
    instance = frame.instance
    if "instance" in request.GET and (instance is None or str(instance.number) != request.GET["instance"]):
        raise Http404("No such instance.")
    return instance


def must_choose(request: HttpRequest) -> Instance:
    """As chosen_instance, for what makes no sense without an instance: 404 then."""
    instance = chosen_instance(request)
    if instance is None:
        raise Http404("No instance yet.")
    return instance


def must_change(request: HttpRequest) -> Instance:
    """As must_choose, for what changes something: raises PermissionDenied, in words, for a viewer."""
    instance = must_choose(request)
    if not instance.may_change:
        raise PermissionDenied(access.VIEWER)
    return instance
