"""Messages that the API has accepted: the queue, the failed messages, and one message with its tries."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils.text import capfirst
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.current_user import current_user
from hooks import database_clock
from hooks.actions.hooks import NotPossible
from instances.actions.message_lookup import UnknownMessage
from instances.actions.sending.accept import QUEUE_LIMIT, QueueFull
from instances.actions.sending.message_queue import clear_messages
from instances.actions.sending.one_message import cancel_message, resend_message
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.pagination import LastFailedFirst, OldestFirst
from instances.api.serializers.messages import (
    AcceptedMessageSerializer,
    ClearedSerializer,
    QueueSerializer,
    TrySerializer,
    accepted_json,
)
from instances.api.views.delivery import get_own_instance
from instances.models import Instance, Message, OutgoingMessage, OutgoingQueue, SendingTry, SendState
from instances.sending.accepted import find_accepted, wait_of
from instances.sending.waits import Wait, explain_queue, explain_waits

FAILED = OpenApiExample("A failed message", value=schema.FAILED_MESSAGE, response_only=True)
WAITING = OpenApiExample("A waiting message", value=schema.WAITING_MESSAGE, response_only=True)
OF_MESSAGE = [schema.INSTANCE_ID, schema.MESSAGE_ID]


class QueueOrder(OldestFirst):
    """Pages of the queue, in its order."""

    ordering = "queue_number"


def impossible_as_error(action: Callable[[], Any]) -> Any:
    """Runs the action. Responds 404 if the message is unknown, 409 if the action is not possible now."""
    try:
        return action()
    except UnknownMessage as error:
        raise exceptions.NotFound(str(error)) from None
    except (NotPossible, QueueFull) as error:
        raise Conflict(str(error)) from None


@extend_schema(tags=["Messages"])
class QueueViewSet(viewsets.GenericViewSet[OutgoingMessage]):
    queryset = OutgoingMessage.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = AcceptedMessageSerializer
    pagination_class = QueueOrder
    filter_backends = ()

    @extend_schema(
        operation_id="readQueue",
        summary="Read the state of the queue",
        parameters=[schema.INSTANCE_ID],
        responses={200: QueueSerializer, **schema.error_responses(404)},
        examples=[OpenApiExample("With sendDelay", value=schema.QUEUE, response_only=True)],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        queue = OutgoingQueue.objects.get(instance=instance)
        found = {
            "length": queue.length,
            "limit": QUEUE_LIMIT,
            "failed": OutgoingMessage.objects.failed().filter(instance=instance).count(),
            "wait": explain_queue(instance, queue, now=database_clock.now()),
        }
        return Response(QueueSerializer(found).data)

    @extend_schema(
        operation_id="listQueue",
        summary="List the waiting messages",
        description="In the order of the queue, each with what it waits for. `clearMessagesQueue` of the wire contract "
        "and `queue/clear/` remove them.",
        parameters=[schema.INSTANCE_ID],
        responses={200: AcceptedMessageSerializer(many=True), **schema.error_responses(400, 404)},
        examples=[WAITING],
    )
    def list(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        waiting = OutgoingMessage.objects.waiting().filter(instance=instance)
        waits = waits_of(instance, waiting)
        page = self.paginate_queryset(waiting) or []
        return self.get_paginated_response(
            [accepted_json(message, waits.get(message.pk)) for message in page]
        )

    @extend_schema(
        operation_id="clearQueue",
        summary="Remove all waiting messages",
        description="As `clearMessagesQueue` of the wire contract. Messages that are being sent stay.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={200: ClearedSerializer, **schema.error_responses(404)},
        examples=[OpenApiExample("Two removed", value={"removed": 2, "inDelivery": 1}, response_only=True)],
    )
    def clear(self, request: Request, id: str) -> Response:
        cleared = clear_messages(get_own_instance(request, id), acting_user=current_user(request))
        return Response({"removed": cleared.removed, "inDelivery": cleared.in_delivery})


def waits_of(instance: Instance, waiting: QuerySet[OutgoingMessage]) -> dict[int, Wait]:
    """Returns what each message of the queue waits for: {its key: the wait}. Two queries."""
    queue = OutgoingQueue.objects.get(instance=instance)
    rows = list(waiting.defer("body", "caption", "quoted", "metadata").order_by("queue_number"))
    waits = explain_waits(instance, queue, rows, now=database_clock.now())
    return {row.pk: wait for row, wait in zip(rows, waits, strict=True)}


@extend_schema(tags=["Messages"])
class FailedViewSet(viewsets.GenericViewSet[OutgoingMessage]):
    queryset = OutgoingMessage.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = AcceptedMessageSerializer
    pagination_class = LastFailedFirst
    filter_backends = ()

    @extend_schema(
        operation_id="listFailedMessages",
        summary="List the failed messages",
        description="The last failure first: those that the messenger has not accepted, with its reason. They are "
        "kept as long as the delivery log. A message that failed after the messenger had accepted it is not among "
        "them.",
        parameters=[schema.INSTANCE_ID],
        responses={200: AcceptedMessageSerializer(many=True), **schema.error_responses(400, 404)},
        examples=[FAILED],
    )
    def list(self, request: Request, id: str) -> Response:
        failed = OutgoingMessage.objects.failed().filter(instance=get_own_instance(request, id))
        page = self.paginate_queryset(failed) or []
        return self.get_paginated_response([accepted_json(message, None) for message in page])


@extend_schema(tags=["Messages"])
class MessageViewSet(viewsets.GenericViewSet[SendingTry]):
    queryset = SendingTry.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = TrySerializer
    pagination_class = OldestFirst
    filter_backends = ()

    def respond(self, instance: Instance, message: OutgoingMessage | Message) -> Response:
        is_waiting = isinstance(message, OutgoingMessage) and message.state != SendState.FAILED
        wait = wait_of(instance, message)[0] if is_waiting else None  # type: ignore[arg-type]
        return Response(accepted_json(message, wait))

    @extend_schema(
        operation_id="readMessage",
        summary="Read one message and its state",
        description="Any message that the API has accepted: queued, sent or failed.",
        parameters=OF_MESSAGE,
        responses={200: AcceptedMessageSerializer, **schema.error_responses(404)},
        examples=[FAILED],
    )
    def retrieve(self, request: Request, id: str, messageId: str) -> Response:
        instance = get_own_instance(request, id)
        return self.respond(instance, impossible_as_error(lambda: find_accepted(instance, messageId)))

    @extend_schema(
        operation_id="listTries",
        summary="List the tries of a message",
        description="Oldest first, each with its whole request and response. They are kept as long as the delivery "
        "log. The sandbox sends without requests.",
        parameters=OF_MESSAGE,
        responses={200: TrySerializer(many=True), **schema.error_responses(400, 404)},
        examples=[OpenApiExample("Refused", value=schema.TRY, response_only=True)],
    )
    def tries(self, request: Request, id: str, messageId: str) -> Response:
        instance = get_own_instance(request, id)
        message = impossible_as_error(lambda: find_accepted(instance, messageId))
        found = SendingTry.objects.filter(instance=instance, message_id=message.message_id)
        page = self.paginate_queryset(found)
        last = set()
        if isinstance(message, OutgoingMessage) and message.state == SendState.FAILED:
            last = set(found.order_by("-id").values_list("pk", flat=True)[:1])
        return self.get_paginated_response(TrySerializer(page, many=True, context={"last": last}).data)

    @extend_schema(
        operation_id="cancelMessage",
        summary="Cancel a waiting message",
        description="It is removed from the queue and is not sent. 409 if it is being sent, was sent or has failed.",
        parameters=OF_MESSAGE,
        request=None,
        responses={200: AcceptedMessageSerializer, **schema.error_responses(404, 409)},
        examples=[WAITING],
    )
    def cancel(self, request: Request, id: str, messageId: str) -> Response:
        instance = get_own_instance(request, id)
        message = impossible_as_error(lambda: find_accepted(instance, messageId))
        response = self.respond(instance, message)
        impossible_as_error(
            lambda: cancel_message(instance, message_id=message.message_id, acting_user=current_user(request))
        )
        return response

    @extend_schema(
        operation_id="resendMessage",
        summary="Resend a failed message",
        description="It becomes the last of the queue, with a new `queueNumber`. It keeps its id, unless the messenger "
        "had accepted it and reported the failure later: then the response is a new message with its own id, and each "
        "call sends another one. 409 if it has not failed, or the queue is full.",
        parameters=OF_MESSAGE,
        request=None,
        responses={200: AcceptedMessageSerializer, **schema.error_responses(404, 409)},
        examples=[WAITING],
    )
    def resend(self, request: Request, id: str, messageId: str) -> Response:
        instance = get_own_instance(request, id)
        if not instance.is_paid:
            raise Conflict(f"{capfirst(instance.why_unpaid)}: messages are not sent.")
        resent = impossible_as_error(
            lambda: resend_message(
                instance, message_id=messageId.replace("\0", ""), acting_user=current_user(request)
            )
        )
        return self.respond(instance, resent)
