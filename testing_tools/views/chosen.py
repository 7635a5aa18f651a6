"""Which instance a testing page or the log is about."""

from django.http import Http404, HttpRequest

from instances.models import Instance
from testing_tools.frame import Frame


def chosen_instance(request: HttpRequest) -> Instance | None:
    """The frame's instance, or None for a person who has none; 404 when `?instance=` names none of theirs."""
    frame = Frame.of(request)
    instance = frame.instance
    if "instance" in request.GET and (instance is None or str(instance.number) != request.GET["instance"]):
        raise Http404("No such instance.")
    return instance


def must_choose(request: HttpRequest) -> Instance:
    """As chosen_instance, for what changes something: 404 without an instance."""
    instance = chosen_instance(request)
    if instance is None:
        raise Http404("No instance yet.")
    return instance
