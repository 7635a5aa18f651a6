"""The account's instances: list, create, read, change, delete."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.current_user import current_user
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances.actions import settings as settings_actions
from instances.actions.lifecycle import change_channel, change_instance, create_instance, delete_instance
from instances.api import schema
from instances.api.pagination import OldestFirst
from instances.api.scopes import key_of
from instances.api.serializers.instances import (
    ChangeBodySerializer,
    InstanceSerializer,
    NewBodySerializer,
    split_body,
)
from instances.models import Instance, InstanceQuerySet
from instances.receiving.unlinking import ending_links
from instances.settings_table import SettingsError


def get_instance(instances: InstanceQuerySet, number: str) -> Instance:
    """Returns the instance with this number from `instances`, which the caller may see. Raises NotFound."""
    parsed = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
    found = None if parsed is None else instances.filter(number=parsed).first()
    if found is None:
        raise no_instance(number)
    return found


def no_instance(number: str) -> exceptions.NotFound:
    """Returns the exception with its sentence."""
    return exceptions.NotFound(f"Your account has no instance {number}.")


def change_settings(instance: Instance, changes: dict[str, Any], *, acting_user: Any) -> None:
    """Runs the action. Responds 400 with the setting's name if a value is invalid."""
    try:
        settings_actions.change_settings(instance, changes=changes, acting_user=acting_user)
    except SettingsError as error:
        raise exceptions.ValidationError({error.key: error.sentence}) from None


EXAMPLE = OpenApiExample("A sandbox instance", value=schema.INSTANCE, response_only=True)


@extend_schema(tags=["Instances"])
class InstanceViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Instance]):
    queryset = Instance.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = InstanceSerializer
    pagination_class = OldestFirst
    filter_backends = ()

    def get_queryset(self) -> InstanceQuerySet:
        return Instance.objects.of_account(self.request.auth).select_related("endpoint")

    def get_serializer_context(self) -> dict[str, Any]:
        return {"key": key_of(self.request)}

    @extend_schema(
        operation_id="listInstances",
        summary="List the account's instances",
        description="Oldest first.",
        responses={200: InstanceSerializer(many=True), **schema.error_responses(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="createInstance",
        summary="Create an instance",
        description="It shows a QR code, and works until the end of its trial, if it has one. All fields are optional; "
        "settings may be included. 409 if the account has as many instances as its quota allows.",
        request=NewBodySerializer,
        responses={201: InstanceSerializer, **schema.error_responses(400, 409)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "With a webhook URL",
                value={"name": "Shop", "webhookUrl": "https://example.com/hook"},
                request_only=True,
            ),
        ],
    )
    @transaction.atomic
    def create(self, request: Request) -> Response:
        own, given = split_body(request.data)
        account: Any = request.auth  # the stubs only know DRF's own tokens
        instance = create_instance(account, **own, acting_user=current_user(request))
        change_settings(instance, given, acting_user=request.user)
        instance = self.get_queryset().get(pk=instance.pk)
        location = settings.SITE_URL + reverse("instances-api:instance", args=[instance.number])
        return Response(
            self.get_serializer(instance).data, status.HTTP_201_CREATED, headers={"Location": location}
        )

    @extend_schema(
        operation_id="readInstance",
        summary="Read one instance",
        parameters=[schema.INSTANCE_ID],
        responses={200: InstanceSerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.get_serializer(get_instance(self.get_queryset(), id)).data)

    @extend_schema(
        operation_id="changeInstance",
        summary="Change an instance's name, channel and settings",
        description="Fields that are not sent stay as they are. If any field is invalid, nothing is changed. An "
        "instance that moves to another `channel` keeps its number, token, endpoints, chats and messages; its link is "
        "deleted, and messages wait until an account is linked. Unlink the account first to read what may be left at "
        "its messenger.",
        parameters=[schema.INSTANCE_ID],
        request=ChangeBodySerializer,
        responses={200: InstanceSerializer, **schema.error_responses(400, 404)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "Webhook URL and acks",
                value={
                    "webhookUrl": "https://example.com/hook",
                    "ackNotificationsOn": True,
                    "guaranteedHooks": True,
                },
                request_only=True,
            ),
        ],
    )
    def partial_update(self, request: Request, id: str) -> Response:
        instance = get_instance(self.get_queryset(), id)
        own, given = split_body(request.data)
        with ending_links(instance, acting_user=current_user(request)):
            self.change(request, instance, own, given)
        return Response(self.get_serializer(self.get_queryset().get(pk=instance.pk)).data)

    @transaction.atomic
    def change(
        self, request: Request, instance: Instance, own: dict[str, Any], given: dict[str, Any]
    ) -> None:
        if channel := own.pop("channel", ""):
            change_channel(instance, channel=channel, acting_user=current_user(request))
        if own:
            change_instance(instance, **own, acting_user=current_user(request))
        if given:
            change_settings(instance, given, acting_user=request.user)

    @extend_schema(
        operation_id="deleteInstance",
        summary="Delete an instance",
        description="Also deletes its chats, messages, hooks and bin. This cannot be undone.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={204: OpenApiResponse(description="Deleted"), **schema.error_responses(404)},
    )
    def destroy(self, request: Request, id: str) -> Response:
        instance, user = get_instance(self.get_queryset(), id), current_user(request)
        with ending_links(instance, acting_user=user):
            delete_instance(instance, acting_user=user)
        return Response(status=status.HTTP_204_NO_CONTENT)
