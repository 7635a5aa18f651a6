"""Received messages: the list with the bot's responses, and the turn of one message."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from chatapi.ui.numbers import parse_digits
from instances.api import schema
from instances.api.serializers.turns import (
    ReceivedPageSerializer,
    TurnSerializer,
    received_json,
    turn_json,
)
from instances.api.views.delivery import get_own_instance
from instances.api.views.messages import impossible_as_error
from instances.models import Message
from instances.turns.reading import find_received, read_turn
from instances.turns.responses import PAGE_SIZE, ResponseState, list_received

MOST = 100  # messages on a page
NUMBER_DIGITS = 10  # of a messageNumber


@extend_schema(tags=["Messages"])
class ReceivedViewSet(viewsets.GenericViewSet[Message]):
    queryset = Message.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = TurnSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        operation_id="listReceived",
        summary="List received messages, and find those without a response",
        description="Newest first. `response=none` finds the messages that your bot received and never responded to: "
        "a hook was delivered, and within 5 minutes the API accepted no message to the chat. A page reads 5,000 "
        "messages of the instance at most; with a filter it may have few results, or none, although there are older "
        "ones: continue with `nextBefore` until it is null.",
        parameters=[
            schema.INSTANCE_ID,
            OpenApiParameter(
                "response",
                str,
                enum=ResponseState.values,
                description="Only messages with this `response.state`. Default: all.",
            ),
            OpenApiParameter(
                "before",
                int,
                description="Only messages before this `messageNumber`: `nextBefore` of a page.",
            ),
            OpenApiParameter(
                "limit", int, description=f"The number of messages, 1 to {MOST}. Default: {PAGE_SIZE}."
            ),
        ],
        responses={200: ReceivedPageSerializer, **schema.error_responses(400, 404)},
        examples=[OpenApiExample("Without a response", value=schema.RECEIVED_PAGE, response_only=True)],
    )
    def list(self, request: Request, id: str) -> Response:
        instance = get_own_instance(request, id)
        given = request.query_params
        state = given.get("response")
        if state is not None and state not in ResponseState.values:
            words = ", ".join(ResponseState.values)
            raise exceptions.ValidationError({"response": f"Must be one of: {words}."})
        page = list_received(
            instance,
            response=ResponseState(state) if state is not None else None,
            before=parse_number(given, "before", 2**31 - 1) if "before" in given else None,
            limit=parse_number(given, "limit", MOST) if "limit" in given else PAGE_SIZE,
        )
        return Response(
            {
                "results": [received_json(row.message, row.response) for row in page.rows],
                "nextBefore": page.next_before,
                "lookedUntil": page.looked_until,
            }
        )

    @extend_schema(
        operation_id="readTurn",
        summary="Read the bot's turn: what a received message caused",
        description="The message, its hooks with their attempts, and the messages that the bot sent because of it, "
        "with their acks. Which messages these are is matched by the webhook requests in flight, the chat, the quote, "
        "the text and the time; `match` says why, and how sure it is. Messages sent from pages count as the bot's.",
        parameters=[schema.INSTANCE_ID, schema.MESSAGE_ID],
        responses={200: TurnSerializer, **schema.error_responses(404)},
        examples=[
            OpenApiExample("A reply within the webhook request", value=schema.TURN, response_only=True)
        ],
    )
    def turn(self, request: Request, id: str, messageId: str) -> Response:
        instance = get_own_instance(request, id)
        message = impossible_as_error(lambda: find_received(instance, messageId))
        return Response(turn_json(instance, read_turn(instance, message)))


def parse_number(given: Any, name: str, most: int) -> int:
    """Returns a parameter as a number from 1 to `most`. Raises ValidationError."""
    number = parse_digits(given[name], max_digits=NUMBER_DIGITS)
    if number is None or not 1 <= number <= most:
        raise exceptions.ValidationError({name: f"Must be a whole number from 1 to {most}."})
    return number
