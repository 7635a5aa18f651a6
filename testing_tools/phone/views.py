"""The sandbox phone: two phones side by side, the instance's own and a contact's, on the same chat, live."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chatapi.ui.numbers import parse_digits
from instances import chat_ids
from instances.models import Channel, Instance
from instances.pages.chosen_instance import chosen_instance, require_instance
from instances.pages.messages import conversations
from testing_tools.phone import conversation as reads
from testing_tools.phone.forms import ICONS, Kind

PAGE = "testing_tools/phone/phone.html"
LARGEST = 2**31 - 1


def number_asked(request: HttpRequest, name: str, otherwise: int = 0) -> int:
    given = parse_digits(request.GET.get(name))
    return otherwise if given is None else given


def scene_asked(request: HttpRequest, instance: Instance, otherwise: str = reads.STRANGER) -> reads.Scene:
    """The chat of `?chat=`, and in a group whose phone it is, `?as=`. Raises Http404 for what can be no chat."""
    try:
        return reads.scene(instance, request.GET.get("chat") or otherwise, request.GET.get("as", ""))
    except chat_ids.BadChatId as error:
        raise Http404(str(error)) from None


def query_of(instance: Instance, scene: reads.Scene) -> str:
    """What all addresses of the page bear: the instance, the chat, and in a group who."""
    asked = {"instance": instance.number, "chat": scene.chat_id}
    return urlencode(asked | ({"as": scene.who.chat_id} if scene.is_group else {}))


def live_context(instance: Instance, scene: reads.Scene, *, after: int, since: int) -> dict[str, Any]:
    """What a poll may bring beside new messages; `seen` has a part for each, that changes with it."""
    states = reads.states(scene.chat, after)
    state = reads.state_of(instance)
    made = reads.made_since(instance, since)
    who = scene.who
    mind = [who.name, who.online, who.blocks, who.has_account, who.deliver_after, who.read_after]
    parts = {
        "ticks": conversations.digest(states),
        "own": conversations.digest([state, instance.battery, instance.is_paid, instance.is_stopped]),
        "contact": conversations.digest(mind),
        "made": made.cursor,
    }
    return {
        "instance": instance,
        "scene": scene,
        "who": reads.called(who),
        "query": query_of(instance, scene),
        "state": state,
        "made": made,
        "since": since,
        "states": states,
        "parts": parts,
        "seen": ".".join(parts.values()),
    }


@require_safe
@login_required
def phone(request: HttpRequest) -> HttpResponse:
    """The page. `?since=` is the hook after which the touch came that is told of, without htmx."""
    instance = chosen_instance(request)
    if instance is None or instance.channel != Channel.SANDBOX:
        return render(request, PAGE, {"instance": instance, "no_phone": True})
    people = reads.people(instance)
    scene = scene_asked(request, instance, reads.first_chat(people))
    rows = reads.rows(scene.chat)
    after = rows[-1].bubble.message.number if rows else 0
    since = number_asked(request, "since", -1)
    if since < 0:
        since = reads.newest_hook(instance)
    if not any(person.chat_id == scene.chat_id for person in people):
        people.insert(0, reads.Person(scene.chat_id, scene.name, scene.is_group))
    context = live_context(instance, scene, after=after, since=since) | {
        "people": people,
        "rows": rows,
        "after": after,
        "kinds": [(kind.value, kind.label, ICONS[kind]) for kind in Kind],
        "side": "contact" if request.GET.get("phone") == "contact" else "own",
    }
    return render(request, PAGE, context)


@require_safe
@login_required
def news(request: HttpRequest) -> HttpResponse:
    """Messages behind `?after=`, and of ticks, phones and hooks what is not as in `?seen=`; 204 when nothing is new."""
    instance = require_instance(request)
    scene = scene_asked(request, instance)
    after = min(number_asked(request, "after"), LARGEST)
    rows = reads.rows(scene.chat, after=after)
    newest = rows[-1].bubble.message.number if rows else after
    context = live_context(instance, scene, after=newest, since=number_asked(request, "since"))
    seen = request.GET.get("seen", "")
    if not rows and seen == context["seen"]:
        return HttpResponse(status=204)
    known = dict(zip(context["parts"], seen.split("."), strict=False))
    context |= {
        "rows": rows,
        "after": newest,
        "states_json": json.dumps(context["states"]),
        "changed": {name for name, part in context["parts"].items() if known.get(name) != part},
    }
    return render(request, "testing_tools/phone/news.html", context)
