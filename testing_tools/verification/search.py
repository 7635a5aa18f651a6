"""What the search of the whole account finds here: bins, and captures by their id."""

from __future__ import annotations

import re

from django.db.models import CharField, Q
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse

from chatapi.ui.frame import user_of
from instances.models import Instance
from instances.pages.search.result_groups import SHOWN, Group, Row
from testing_tools.verification.models import Bin, Capture

WORDS_OF_BINS = ("bin", "bins", "of")
BIN_URL = re.compile(r"/bins?/([a-z0-9]{8})(?:/|\Z)")  # what is sent to a bin, or its page
CAPTURE = re.compile(r"(?:^|/|[?&]open=)([A-Za-z0-9_-]{22})/?(?:&|\Z)")  # the id, alone or in a page's URL


def captures(request: HttpRequest, query: str) -> Group:
    """Returns the capture with this id. Two queries, none for another text."""
    asked = CAPTURE.search(query)
    if asked is None:
        return Group("Captured requests", [])
    visible = Bin.objects.visible_to(user_of(request)).select_related("instance")
    bin = visible.filter(captures__public_id=asked[1]).first()
    if bin is None:
        return Group("Captured requests", [])
    found = Capture.objects.kept(bin).in_list().filter(public_id=asked[1])
    rows = [
        Row(
            f"{capture.method} {capture.path}".strip(),
            " · ".join(part for part in (capture.label, name_of(bin)) if part),
            reverse("testing:bin-page", args=[bin.key], query={"open": capture.public_id}),
            "inbox",
        )
        for capture in found
    ]
    return Group("Captured requests", rows)


def bins(request: HttpRequest, query: str) -> Group:
    """Returns the bin with this URL or key; else those of instances with every word in the name or number.

    Up to three queries. The instances are read first: each is then one look-up in the index of their bins.
    """
    user = user_of(request)
    url = BIN_URL.search(query)
    key = url[1] if url else query.lower()
    found = list(Bin.objects.visible_to(user).filter(key=key).select_related("instance"))
    if not found and not url:
        numbered = Instance.objects.visible_to(user).annotate(number_text=Cast("number", CharField()))
        instances = list(numbered.filter(of_words(query)).values_list("pk", flat=True))
        of_instances = Bin.objects.filter(instance__in=instances).select_related("instance")
        found = list(of_instances.order_by("instance")[:SHOWN])
    rows = [
        Row(name_of(bin), f"/bin/{bin.key}", reverse("testing:bin-page", args=[bin.key]), "inbox")
        for bin in found
    ]
    return Group("Bins", rows)


def of_words(query: str) -> Q:
    """The condition that an instance has every word in its name or number; the word "bin" is in each bin's name."""
    words = [word for word in query.split() if word.lower() not in WORDS_OF_BINS]
    matching = Q()
    for word in words:
        matching &= Q(name__icontains=word) | Q(number_text__contains=word)
    return matching


def name_of(bin: Bin) -> str:
    return f"Bin of {bin.instance}" if bin.instance else "My bin"
