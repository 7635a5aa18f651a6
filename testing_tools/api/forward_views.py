"""Forwards the captures of a bin to another URL, a few seconds with each call."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from hooks.urls import webhook_urls
from instances.api import schema
from instances.api.errors import Conflict
from instances.limits import manual_request_limit
from testing_tools.api import parameters
from testing_tools.api.capture_serializers import FilterBodySerializer
from testing_tools.api.lookup import get_bin, validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.verification import forwarding
from testing_tools.verification.forwarding import MAX_UNREACHED_IN_A_ROW, STEP_SECONDS, Progress
from testing_tools.verification.models import Capture

FORWARDED = {
    "lastNumber": 17,
    "accepted": 9,
    "refused": 1,
    "unreached": 0,
    "error": "example.com responded with 500: your server failed while handling it.",
    "unreachable": False,
    "remaining": 3,
}


class NewForwardSerializer(FilterBodySerializer):
    """Which captures to forward, and where to."""

    url = serializers.CharField(
        help_text="The URL. It can reach the same addresses as a hook, and no others."
    )
    after = serializers.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        default=0,
        help_text="Continues after the capture with this number: the `lastNumber` of the call before.",
    )


class ForwardSerializer(serializers.Serializer[Any]):
    """What this call has sent."""

    lastNumber = serializers.IntegerField(
        source="last", help_text="The number of the last capture that was sent."
    )
    accepted = serializers.IntegerField(help_text="Responded with a status from 200 to 299.")
    refused = serializers.IntegerField(help_text="Responded with another status.")
    unreached = serializers.IntegerField(help_text="Without a complete response.")
    error = serializers.CharField(
        help_text="What happened to the last one that was not accepted; empty if all were."
    )
    unreachable = serializers.BooleanField(
        source="is_unreachable",
        help_text=f"{MAX_UNREACHED_IN_A_ROW} in a row were not reached, and the call ended early.",
    )
    remaining = serializers.IntegerField(help_text="The captures that are still to be sent. 0: done.")


class ForwardView(APIView):
    @extend_schema(
        tags=["Bins"],
        operation_id="forwardCaptures",
        summary="Forward the captures of a bin",
        description="Sends the captures that match the filter, or all, to another URL, oldest first and as captured, "
        f"for about {STEP_SECONDS:.0f} seconds. Repeat the call with `after` until `remaining` is 0. A capture whose "
        "body was too large to store is left out. 409 if too many of the account's requests are in progress or were "
        "sent in this minute.",
        parameters=[parameters.BIN_KEY],
        request=NewForwardSerializer,
        responses={200: ForwardSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            response_example("Ten of thirteen", FORWARDED),
            request_example("Everything but acks", {"url": "https://example.com/hook", "q": "-kind:ack"}),
            request_example("The rest", {"url": "https://example.com/hook", "q": "-kind:ack", "after": 17}),
        ],
    )
    def post(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        given = validate(NewForwardSerializer(data=request.data))
        try:
            url = webhook_urls.check(given["url"])
        except webhook_urls.InvalidUrl as error:
            raise exceptions.ValidationError({"url": str(error)}) from None
        if forwarding.is_same_bin(url, bin.url):
            raise exceptions.ValidationError({"url": forwarding.SAME_BIN})
        matching = given["q"].apply(Capture.objects.kept(bin)).filter(too_large=False)
        try:
            with manual_request_limit.place(request.user):
                progress, _ = forwarding.forward(matching, url, Progress(last=given["after"]))
        except manual_request_limit.TooMany as error:
            raise Conflict(str(error)) from None
        remaining = matching.filter(number__gt=progress.last).count()
        found = progress._asdict() | {"is_unreachable": progress.is_unreachable, "remaining": remaining}
        return Response(ForwardSerializer(found).data)
