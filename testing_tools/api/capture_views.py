"""Captures: list, wait for the next one, read, annotate, delete, restore, replay."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.pagination import NewestFirst
from instances.limits import manual_request_limit, waiting_calls
from testing_tools.api import parameters
from testing_tools.api.capture_serializers import (
    MAX_WAIT,
    CaptureRowSerializer,
    CaptureSerializer,
    DeletedSerializer,
    FilterBodySerializer,
    ListQuerySerializer,
    NewReplaySerializer,
    NextCaptureSerializer,
    NextQuerySerializer,
    NoteSerializer,
    ReplaySerializer,
    RestoredSerializer,
    RestoreSerializer,
    replay_json,
)
from testing_tools.api.lookup import get_bin, get_capture, validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.verification import replays
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.replays import InvalidReplay

UNDO_MINUTES = capture_actions.UNDO_FOR.seconds // 60
OF_CAPTURE = [parameters.BIN_KEY, parameters.CAPTURE_ID]
WHOLE = response_example("An ack", parameters.CAPTURE)


class LastNumberFirst(NewestFirst):
    """By the captures' numbers, the last one first."""

    ordering = "-number"


@extend_schema(tags=["Bins"])
class CapturesViewSet(viewsets.GenericViewSet[Capture]):
    queryset = Capture.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = CaptureRowSerializer
    pagination_class = LastNumberFirst
    filter_backends = ()

    @extend_schema(
        operation_id="listCaptures",
        summary="List the captures of a bin",
        description="Newest first, without their queries, headers and bodies.",
        parameters=[parameters.BIN_KEY, parameters.FILTER],
        responses={200: CaptureRowSerializer(many=True), **schema.error_responses(400, 404)},
        examples=[response_example("An ack", parameters.CAPTURE_ROW)],
    )
    def list(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        query = validate(ListQuerySerializer(data=request.query_params.dict()))
        page = self.paginate_queryset(query["q"].apply(Capture.objects.kept(bin)).in_list())
        return self.get_paginated_response(CaptureRowSerializer(page, many=True).data)

    @extend_schema(
        operation_id="clearCaptures",
        summary="Delete the captures of a bin",
        description=f"Those that match the filter, or all. They can be restored for {UNDO_MINUTES} minutes.",
        parameters=[parameters.BIN_KEY],
        request=FilterBodySerializer,
        responses={200: DeletedSerializer, **schema.error_responses(400, 404)},
        examples=[
            response_example("Twelve deleted", parameters.DELETED | {"removed": 12}),
            request_example("Everything but acks", {"q": "-kind:ack"}),
        ],
    )
    def clear(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        which = validate(FilterBodySerializer(data=request.data))["q"]
        at, removed = capture_actions.delete_matching(bin, which=which, acting_user=current_user(request))
        return Response(DeletedSerializer({"removed": removed, "deletedAt": at}).data)

    @extend_schema(
        operation_id="restoreCaptures",
        summary="Restore deleted captures",
        description=f"All captures of one deletion, up to {UNDO_MINUTES} minutes after it; then 409.",
        parameters=[parameters.BIN_KEY],
        request=RestoreSerializer,
        responses={200: RestoredSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            response_example("One restored", {"restored": 1}),
            request_example("One deletion", {"deletedAt": parameters.DELETED["deletedAt"]}),
        ],
    )
    def restore(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        at = validate(RestoreSerializer(data=request.data))["deletedAt"]
        restored = capture_actions.restore(bin, at=at, acting_user=current_user(request))
        if not restored:
            raise Conflict(
                f"No captures were deleted at this time, or it is too late: they can be restored for {UNDO_MINUTES} "
                "minutes."
            )
        return Response({"restored": restored})


class NextCaptureView(APIView):
    @extend_schema(
        tags=["Bins"],
        operation_id="nextCapture",
        summary="Wait for the next capture",
        description="Returns the oldest capture after the number `after`, whole. With `wait`, the response is delayed "
        "until there is one. To wait for a request that you are about to cause, read `lastNumber` of the bin first. At "
        "most 20 calls of an account wait at a time; further ones respond immediately.",
        parameters=[
            parameters.BIN_KEY,
            OpenApiParameter(
                "after",
                int,
                description="A `number`. Returns only a capture with a higher number. Default: 0, which returns the "
                "oldest one.",
            ),
            parameters.FILTER,
            OpenApiParameter(
                "wait",
                float,
                description=f"How long to wait for a capture, in seconds, at most {MAX_WAIT}. Default: 0.",
            ),
        ],
        responses={200: NextCaptureSerializer, **schema.error_responses(400, 404)},
        examples=[
            response_example("An ack", {"capture": parameters.CAPTURE, "lastNumber": 17}),
            response_example("None in time", {"capture": None, "lastNumber": 16}),
        ],
    )
    def get(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        query = validate(NextQuerySerializer(data=request.query_params.dict()))
        # All captures up to bin.captured are committed: none of them appears after this query.
        later = Capture.objects.kept(bin).filter(number__gt=query["after"])
        capture = query["q"].apply(later).order_by("number").first()
        if capture is not None:
            capture.bin = bin
            return Response({"capture": CaptureSerializer(capture).data, "lastNumber": capture.number})
        response = Response({"capture": None, "lastNumber": max(query["after"], bin.captured)})
        account: Any = request.auth  # the stubs only know DRF's own tokens
        waiting_calls.wait(response, request._request, query["wait"], owner=account.pk)
        return response


@extend_schema(tags=["Bins"])
class CaptureViewSet(viewsets.GenericViewSet[Capture]):
    queryset = Capture.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = CaptureSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        operation_id="readCapture",
        summary="Read one capture",
        description="The whole request, as it was sent. It stays unread on the bin's page.",
        parameters=OF_CAPTURE,
        responses={200: CaptureSerializer, **schema.error_responses(404)},
        examples=[WHOLE],
    )
    def retrieve(self, request: Request, key: str, captureId: str) -> Response:
        return Response(CaptureSerializer(get_capture(get_bin(request, key), captureId)).data)

    @extend_schema(
        operation_id="changeCapture",
        summary="Write the note of a capture",
        parameters=OF_CAPTURE,
        request=NoteSerializer,
        responses={200: CaptureSerializer, **schema.error_responses(400, 404)},
        examples=[WHOLE, request_example("A note", {"note": "the one that was slow"})],
    )
    def partial_update(self, request: Request, key: str, captureId: str) -> Response:
        capture = get_capture(get_bin(request, key), captureId)
        given = validate(NoteSerializer(data=request.data))
        capture_actions.write_note(capture, text=given["note"])
        return Response(CaptureSerializer(capture).data)

    @extend_schema(
        operation_id="deleteCapture",
        summary="Delete one capture",
        description=f"It can be restored for {UNDO_MINUTES} minutes.",
        parameters=OF_CAPTURE,
        request=None,
        responses={200: DeletedSerializer, **schema.error_responses(404)},
        examples=[response_example("Deleted", parameters.DELETED)],
    )
    def destroy(self, request: Request, key: str, captureId: str) -> Response:
        bin = get_bin(request, key)
        captures = bin.captures.filter(pk=get_capture(bin, captureId).pk)
        at, removed = capture_actions.delete(bin, captures=captures, acting_user=current_user(request))
        return Response(DeletedSerializer({"removed": removed, "deletedAt": at}).data)

    @extend_schema(
        operation_id="replayCapture",
        summary="Replay a capture",
        description="Sends it to another URL now, as captured or with changes, and waits up to 10 s for the response. "
        "It can reach the same addresses as a hook, and no others. A signature that was captured does not match a "
        "changed body. 409 if too many of the account's requests are in progress or were sent in this minute.",
        parameters=OF_CAPTURE,
        request=NewReplaySerializer,
        responses={200: ReplaySerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            response_example("The server failed", parameters.REPLAY),
            request_example("As captured", {"url": "https://example.com/hook"}),
            request_example(
                "Changed",
                {
                    "url": "https://example.com/hook",
                    "method": "PUT",
                    "headers": [["Content-Type", "text/plain"]],
                    "body": "hello",
                },
            ),
        ],
    )
    def replay(self, request: Request, key: str, captureId: str) -> Response:
        capture = get_capture(get_bin(request, key), captureId)
        given = validate(NewReplaySerializer(data=request.data))
        try:
            outgoing = replays.changed_request(capture, **given)
            with manual_request_limit.place(request.user):
                replayed = replays.replay(outgoing)
        except InvalidReplay as error:
            raise exceptions.ValidationError({error.field: str(error)}) from None
        except manual_request_limit.TooMany as error:
            raise Conflict(str(error)) from None
        return Response(replay_json(replayed))
