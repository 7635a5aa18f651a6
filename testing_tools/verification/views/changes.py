"""What is done to a bin and its captures: the ordered answer, notes, deleting and undoing."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from chatapi.ui.requests import HtmxRequest
from testing_tools.verification import responses
from testing_tools.verification.actions import bins as actions_bins
from testing_tools.verification.filters import Filter
from testing_tools.verification.models import LONGEST_DELAY, Bin, Capture
from testing_tools.verification.responses import BadOrder, Order
from testing_tools.verification.views.bins import address_of
from testing_tools.verification.views.contexts import (
    changeable_bin,
    count_context,
    from_stamp,
    stamp,
    undo_context,
    visible_capture,
)


def tool(
    request: HtmxRequest, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    """A tool of the bin: what stands in the dialog for htmx, a page of its own for everyone else."""
    part = "#tool" if request.htmx else ""
    return render(request, f"testing_tools/verification/{template}{part}", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
def answer(request: HtmxRequest, key: str) -> HttpResponse:
    """What the bin answers: the form; a POST orders it, by a preset or by the fields. 422 with what is wrong."""
    bin = changeable_bin(request, key)
    if request.method == "GET":
        return tool(request, "bin_answer.html", answer_context(bin, Order.of(bin)))
    preset = responses.PRESETS.get(request.POST.get("preset", ""))
    try:
        order = preset.order if preset else responses.read(request.POST)
    except BadOrder as error:
        typed = {
            name: request.POST.get(name, "") for name in ("status", "headers", "body", "delay", "fail_first")
        }
        context = answer_context(bin, Order.of(bin)) | {"typed": typed, "fault": {error.field: str(error)}}
        return tool(request, "bin_answer.html", context, status=422)
    actions_bins.order_answer(bin, order, acting_user=request.user)
    said = f"Saved: the next request is answered {responses.words(bin)}."
    if request.htmx:
        return tool(request, "bin_answer.html", answer_context(bin, order) | {"said": said})
    messages.success(request, said)
    return redirect("testing:bin-page", key=bin.key)


def answer_context(bin: Bin, order: Order) -> dict[str, object]:
    return {
        "bin": bin,
        "answers": responses.words(bin),
        "presets": [
            (name, preset, preset.order == order) for name, preset in responses.PRESETS.items()
        ],
        "typed": {
            "status": order.status,
            "headers": "\n".join(f"{name}: {value}" for name, value in order.headers),
            "body": order.body,
            "delay": f"{order.delay:g}",
            "fail_first": order.fail_first,
        },
        "fault": {},
        "longest": LONGEST_DELAY,
        "most_slow": responses.MOST_SLOW_OF_ONE,
    }  # fmt: skip


@require_POST
@login_required
def note(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """The reader's words beside a capture; empty words take them away."""
    found = visible_capture(changeable_bin(request, key), public_id)
    actions_bins.write_note(found, request.POST.get("note", ""), acting_user=request.user)
    if request.htmx:
        return render(
            request,
            "testing_tools/verification/bin_capture.html#noted",
            {"capture": found, "bin": found.bin, "saved": True},
        )
    return redirect(address_of(found))


@require_POST
@login_required
def delete(request: HtmxRequest, key: str, public_id: str) -> HttpResponse:
    """Delete one capture; the answer offers to undo it."""
    bin = changeable_bin(request, key)
    found = visible_capture(bin, public_id)
    at, _ = actions_bins.delete(bin, bin.captures.filter(pk=found.pk), acting_user=request.user)
    if request.htmx:
        context = count_context(bin) | {"undo": undo_context(bin, at), "gone": found, "news": True}
        return render(request, "testing_tools/verification/bin_undo.html", context)
    return redirect(f"{reverse('testing:bin-page', args=[bin.key])}?deleted={stamp(at)}")


@require_POST
@login_required
def delete_all(request: HttpRequest, key: str) -> HttpResponse:
    """Delete what fits the filter `q`, or all of it; the page then offers to undo it."""
    bin = changeable_bin(request, key)
    filter = Filter(request.POST.get("q", ""))
    numbers = filter.apply(Capture.objects.kept(bin)).order_by().values("pk")
    at, count = actions_bins.delete(bin, bin.captures.filter(pk__in=numbers), acting_user=request.user)
    if not count:
        messages.info(request, "There was nothing to delete.")
        return redirect("testing:bin-page", key=bin.key)
    return redirect(f"{reverse('testing:bin-page', args=[bin.key])}?deleted={stamp(at)}")


@require_POST
@login_required
def undo(request: HttpRequest, key: str) -> HttpResponse:
    """Bring back what was deleted at `at` (microseconds, as the page was told)."""
    bin = changeable_bin(request, key)
    at = from_stamp(request.POST.get("at"))
    count = actions_bins.restore(bin, at, acting_user=request.user) if at else 0
    if count:
        messages.success(request, "1 request is back." if count == 1 else f"{count} requests are back.")
    else:
        messages.error(request, "It is too late: what is deleted can be had back for 10 minutes.")
    return redirect("testing:bin-page", key=bin.key)
