"""The account's alert webhook, which is notified of issues: read, set, remove, test, rotate its secret, list alerts."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import exceptions, mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from hooks.models import Outcome
from hooks.urls.webhook_urls import InvalidUrl
from instances.actions import alerts as actions
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.pagination import NewestFirst
from instances.api.scopes import key_of
from instances.api.serializers.strict import StrictSerializer
from instances.api.views.delivery import RotationSerializer
from instances.api.views.endpoints import validated
from instances.limits import manual_request_limit
from instances.models import Alert, AlertState, AlertWebhook

NO_WEBHOOK = "Your account has no alert webhook. Set its URL with PUT."
WEBHOOK = {
    "url": "https://ops.example.com/alerts",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "previousSecretUntil": None,
    "createdAt": "2030-01-01T09:00:00Z",
}
ALERT = {
    "id": "alert_0192f4c65d7b7c33a1e04be1f1d6e1aa",
    "test": False,
    "state": "waiting",
    "createdAt": "2030-01-01T14:05:00Z",
    "nextAttemptAt": "2030-01-01T14:06:00Z",
    "attempts": [
        {
            "number": 1,
            "at": "2030-01-01T14:05:00Z",
            "url": "https://ops.example.com/alerts",
            "outcome": "not_200",
            "status": 500,
            "milliseconds": 41.5,
            "explanation": "ops.example.com responded with 500: your server failed while handling it.",
            "nextStep": "Check your server's error log for this time.",
        }
    ],
}
EXAMPLE = OpenApiExample("An alert webhook", value=WEBHOOK, response_only=True)
TESTED = ALERT | {"test": True, "state": "failed", "nextAttemptAt": None}


class AlertWebhookSerializer(serializers.Serializer[AlertWebhook]):
    """Where the account's alerts go, and the secret that signs them."""

    url = serializers.CharField()
    secret = serializers.CharField(help_text="Verifies `webhook-signature` (Standard Webhooks).")
    previousSecretUntil = serializers.SerializerMethodField(
        method_name="get_previous_until",
        help_text="Until then, alerts are also signed with the previous secret. Null: only with this one.",
    )
    createdAt = serializers.DateTimeField(source="created_at")

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_until(self, webhook: AlertWebhook) -> Any:
        until = webhook.old_secret_until(timezone.now())
        return serializers.DateTimeField().to_representation(until) if until else None


class AlertUrlSerializer(StrictSerializer):
    """The URL that gets the alerts."""

    url = serializers.CharField(max_length=2000)


class AlertAttemptSerializer(serializers.Serializer[Any]):
    """One request of an alert."""

    number = serializers.IntegerField(help_text="1 for the first. A number is missing if the server stopped.")
    at = serializers.DateTimeField()
    url = serializers.CharField()
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    status = serializers.IntegerField(allow_null=True, help_text="Null: no response.")
    milliseconds = serializers.FloatField()
    explanation = serializers.CharField(help_text="What happened.")
    nextStep = serializers.CharField(help_text="What to do about it. Empty: it was delivered.")


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """An alert that was sent, or is being sent."""

    id = serializers.CharField(source="__str__", help_text="Its `webhook-id`.")
    test = serializers.BooleanField(source="is_test")
    state = serializers.ChoiceField(choices=AlertState.choices)
    createdAt = serializers.DateTimeField(source="created_at")
    nextAttemptAt = serializers.DateTimeField(
        source="next_attempt_at", allow_null=True, help_text="Null: there is none."
    )
    attempts = AlertAttemptSerializer(many=True)

    class Meta:
        model = Alert
        fields = ("id", "test", "state", "createdAt", "nextAttemptAt", "attempts")


def get_webhook(request: Request) -> AlertWebhook:
    """Returns the account's alert webhook. Raises NotFound."""
    found = AlertWebhook.objects.select_related("account").filter(pk=key_of(request).account_id).first()
    if found is None:
        raise exceptions.NotFound(NO_WEBHOOK)
    return found


class AlertWebhookView(APIView):
    @extend_schema(
        tags=["Issues"],
        operation_id="readAlertWebhook",
        summary="Read the alert webhook",
        responses={200: AlertWebhookSerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        return Response(AlertWebhookSerializer(get_webhook(request)).data)

    @extend_schema(
        tags=["Issues"],
        operation_id="setAlertWebhook",
        summary="Set the alert webhook",
        description="Within five minutes of its first failure, an issue that is still open is sent to this URL, and "
        "later its recovery; see the webhook `alert`. All that is due is one alert, and an account gets at most four "
        "in an hour. An alert is sent up to 12 times within four hours, until the response is 200. The secret stays "
        "when the URL changes.",
        request=AlertUrlSerializer,
        responses={200: AlertWebhookSerializer, **schema.error_responses(400)},
        examples=[
            EXAMPLE,
            OpenApiExample("A URL", value={"url": "https://ops.example.com/alerts"}, request_only=True),
        ],
    )
    def put(self, request: Request) -> Response:
        url = validated(AlertUrlSerializer, request)["url"]
        account = key_of(request).account
        try:
            webhook = actions.set_url(account, url=url, acting_user=current_user(request))
        except InvalidUrl as error:
            raise exceptions.ValidationError({"url": str(error)}) from None
        return Response(AlertWebhookSerializer(webhook).data)

    @extend_schema(
        tags=["Issues"],
        operation_id="removeAlertWebhook",
        summary="Remove the alert webhook",
        description="With its alerts and its secret.",
        request=None,
        responses={204: OpenApiResponse(description="Removed"), **schema.error_responses(404)},
    )
    def delete(self, request: Request) -> Response:
        actions.remove(get_webhook(request), acting_user=current_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AlertSecretView(APIView):
    @extend_schema(
        tags=["Issues"],
        operation_id="rotateAlertSecret",
        summary="Rotate the secret of alerts",
        description="For 24 hours, alerts are also signed with the old one, unless `keepOld` is false.",
        request=RotationSerializer,
        responses={200: AlertWebhookSerializer, **schema.error_responses(400, 404)},
        examples=[
            OpenApiExample(
                "Rotated",
                value=WEBHOOK | {"previousSecretUntil": "2030-01-02T09:00:00Z"},
                response_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        keep_old = validated(RotationSerializer, request)["keepOld"]
        webhook = actions.rotate_secret(
            get_webhook(request), acting_user=current_user(request), keep_old=keep_old
        )
        return Response(AlertWebhookSerializer(webhook).data)


class AlertTestView(APIView):
    @extend_schema(
        tags=["Issues"],
        operation_id="testAlertWebhook",
        summary="Send a test alert",
        description="It is sent now, once: the call waits up to 10 s for the response. 409 while too many of your "
        "requests wait.",
        request=None,
        responses={200: AlertSerializer, **schema.error_responses(404, 409)},
        examples=[OpenApiExample("It failed", value=TESTED, response_only=True)],
    )
    def post(self, request: Request) -> Response:
        webhook, user = get_webhook(request), current_user(request)
        try:
            with manual_request_limit.place(user):
                alert = actions.send_test(webhook, acting_user=user)
        except manual_request_limit.TooMany as error:
            raise Conflict(str(error)) from None
        return Response(AlertSerializer(alert).data)


@extend_schema(tags=["Issues"])
class AlertViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Alert]):
    queryset = Alert.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = AlertSerializer
    pagination_class = NewestFirst
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Alert]:
        return get_webhook(self.request).alerts.all()

    @extend_schema(
        operation_id="listAlerts",
        summary="List the alerts",
        description="Newest first, with their attempts. They are kept as long as the delivery log.",
        responses={200: AlertSerializer(many=True), **schema.error_responses(400, 404)},
        examples=[OpenApiExample("An alert that is retried", value=ALERT, response_only=True)],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)
