"""The sandbox's contacts."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances.api import schema
from instances.api.sandbox.contact_serializers import (
    ContactChangeSerializer,
    ContactListSerializer,
    ContactSerializer,
)
from instances.api.sandbox.examples import request_example, response_example
from instances.api.sandbox.fields import parse_phone
from instances.api.sandbox.requests import failures_as_409, get_sandbox, validate
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import (
    SandboxContact,
)

PHONE = OpenApiParameter(
    "phone", str, OpenApiParameter.PATH, description="The contact's phone number, with its country code."
)


CONTACT = {
    "name": "Ann",
    "image": "",
    "hasAccount": True,
    "online": True,
    "blocks": False,
    "deliverAfter": 0,
    "readAfter": 3,
    "chatId": "17680561234@c.us",
    "phone": "17680561234",
}


def parse_phone_in_url(text: str) -> str:
    """The chat id of the contact in a URL. Raises NotFound if it is not a phone number."""
    try:
        return parse_phone(text)
    except exceptions.ValidationError as error:
        raise exceptions.NotFound(f"{text} is not a phone number. {error.detail[0]}") from None  # type: ignore[index]  # we raise it with a list


class ContactsView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="listSandboxContacts",
        summary="List configured contacts",
        description="Every other number is online, receives messages immediately and never reads them.",
        parameters=[schema.INSTANCE_ID],
        responses={200: ContactListSerializer, **schema.error_responses(404)},
        examples=[response_example("One", {"contacts": [CONTACT]})],
    )
    def get(self, request: Request, id: str) -> Response:
        contacts = SandboxContact.objects.filter(instance=get_sandbox(request, id))
        return Response({"contacts": ContactSerializer(contacts, many=True).data})


class ContactView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="getSandboxContact",
        summary="Read a contact",
        parameters=[schema.INSTANCE_ID, PHONE],
        responses={200: ContactSerializer, **schema.error_responses(404)},
        examples=[response_example("Ann", CONTACT)],
    )
    def get(self, request: Request, id: str, phone: str) -> Response:
        instance = get_sandbox(request, id)
        chat_id = parse_phone_in_url(phone)
        contact = SandboxContact.objects.filter(instance=instance, chat_id=chat_id).first()
        return Response(ContactSerializer(contact or SandboxContact(chat_id=chat_id)).data)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="setSandboxContact",
        summary="Replace a contact's configuration",
        description="Omitted fields get their defaults: online, receives messages immediately, never reads them.",
        parameters=[schema.INSTANCE_ID, PHONE],
        request=ContactChangeSerializer,
        responses={200: ContactSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            request_example("Reads after three seconds", {"name": "Ann", "readAfter": 3}),
            response_example("Ann", CONTACT),
        ],
    )
    def put(self, request: Request, id: str, phone: str) -> Response:
        return self.change(request, id, phone, DEFAULTS)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxContact",
        summary="Change a contact",
        description="Omitted fields stay as they are. The new behaviour also applies to messages that the contact "
        "has not yet received or read: back `online`, a contact receives them all.",
        parameters=[schema.INSTANCE_ID, PHONE],
        request=ContactChangeSerializer,
        responses={200: ContactSerializer, **schema.error_responses(400, 404, 409)},
        examples=[request_example("Goes offline", {"online": False}), response_example("Ann", CONTACT)],
    )
    def patch(self, request: Request, id: str, phone: str) -> Response:
        return self.change(request, id, phone, {})

    def change(self, request: Request, id: str, phone: str, default: dict[str, Any]) -> Response:
        instance = get_sandbox(request, id)
        chat_id = parse_phone_in_url(phone)
        given = validate(ContactChangeSerializer(data=request.data))
        with failures_as_409(instance):
            contact = change_contact(instance, phone=chat_id, **{**default, **given})
        return Response(ContactSerializer(contact).data)


DEFAULTS = {
    "name": "",
    "image": "",
    "has_account": True,
    "online": True,
    "blocks": False,
    "deliver_after": 0,
    "read_after": None,
}
