"""Forwards many captures to another URL, one after the other, a few seconds at a time."""

import re
import time
from typing import NamedTuple

from hooks import guard, http
from hooks.explain.sentences import explain_response
from hooks.http import Response
from testing_tools.verification.models import CaptureQuerySet
from testing_tools.verification.replays import InvalidReplay, changed_request

BATCH = 10  # captures per step
STEP_SECONDS = 4.0  # a step ends after this time, so that the page can show the progress
MAX_UNREACHED_IN_A_ROW = 3  # then the URL counts as unreachable


SAME_BIN = "This is the URL of the same bin: it would capture every request again."


class Progress(NamedTuple):
    """The progress of a forwarding: the number of the last capture, and the count of each result."""

    last: int = 0
    accepted: int = 0
    refused: int = 0
    unreached: int = 0
    unreached_in_a_row: int = 0
    error: str = ""

    @property
    def sent(self) -> int:
        return self.accepted + self.refused + self.unreached

    @property
    def is_unreachable(self) -> bool:
        return self.unreached_in_a_row >= MAX_UNREACHED_IN_A_ROW


def forward(captures: CaptureQuerySet, url: str, before: Progress) -> tuple[Progress, bool]:
    """Send the captures after `before.last`, oldest first, for STEP_SECONDS.

    Returns the progress, and whether more captures remain.

    Every 2xx counts as accepted. A capture whose body was too large to store is skipped.
    """
    progress, started = before, time.monotonic()
    keys = list(
        captures.filter(number__gt=progress.last, too_large=False)
        .order_by("number")
        .values_list("pk", flat=True)[: BATCH + 1]
    )
    for pk in keys[:BATCH]:
        if time.monotonic() - started > STEP_SECONDS:
            return progress, True
        capture = captures.filter(pk=pk).first()
        if capture is None:
            continue
        try:
            response = http.send(*changed_request(capture, url))
        except InvalidReplay as error:
            progress = progress._replace(
                last=capture.number, unreached=progress.unreached + 1, error=str(error)
            )
            continue
        progress = with_result(progress, capture.number, url, response)
        if progress.is_unreachable:
            return progress, True
    return progress, len(keys) > BATCH


def with_result(progress: Progress, number: int, url: str, response: Response) -> Progress:
    if response.status is None:
        error = explain_response(response, url=url).sentence
        return progress._replace(
            last=number,
            unreached=progress.unreached + 1,
            unreached_in_a_row=progress.unreached_in_a_row + 1,
            error=error,
        )
    if 200 <= response.status < 300:
        return progress._replace(last=number, accepted=progress.accepted + 1, unreached_in_a_row=0)
    error = explain_response(response, url=url).sentence
    return progress._replace(last=number, refused=progress.refused + 1, unreached_in_a_row=0, error=error)


def is_same_bin(url: str, bin_url: str) -> bool:
    """Returns whether `url` is this bin: forwarded requests would be captured again, and then forwarded too."""
    return guard.is_own_bin(url) and re.match(re.escape(bin_url) + r"(?![a-z0-9])", url) is not None
