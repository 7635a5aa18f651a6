"""Which instance a testing page or the log is about."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from instances.models import Instance
from instances.pages import access
from instances.pages.frame import InstanceFrame


def chosen_instance(request: HttpRequest) -> Instance | None:
    """The frame's instance; None for a user without instances.

    Raises Http404 if `?instance=` names none of the user's.
    """
    frame = InstanceFrame.of(request)
    instance = frame.instance
    if "instance" in request.GET and (instance is None or str(instance.number) != request.GET["instance"]):
        raise Http404("No such instance.")
    return instance


def require_instance(request: HttpRequest) -> Instance:
    """Like chosen_instance, for what needs an instance. Raises Http404 if there is none."""
    instance = chosen_instance(request)
    if instance is None:
        raise Http404("No instance yet.")
    return instance


def require_changeable_instance(request: HttpRequest) -> Instance:
    """Like require_instance, for a change. Raises PermissionDenied, with a message for people, for a viewer."""
    instance = require_instance(request)
    if not instance.may_change:
        raise PermissionDenied(access.VIEWER)
    return instance
