"""Issues, the failed hooks grouped by cause: list, read, acknowledge, resend what was missed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from hooks.actions import issues as actions
from hooks.actions.hooks import NotPossible
from hooks.models import Issue, IssueQuerySet, IssueState, Redelivery, parse_issue_id
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.pagination import NewestFirst
from instances.api.serializers.issues import IssueSerializer, with_words
from instances.api.serializers.redeliveries import RedeliverySerializer
from instances.models import Instance

EXAMPLE = OpenApiExample("An endpoint that fails", value=schema.ISSUE, response_only=True)


@extend_schema(tags=["Issues"])
class IssueViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Issue]):
    queryset = Issue.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = IssueSerializer
    pagination_class = NewestFirst
    filter_backends = ()

    def get_queryset(self) -> IssueQuerySet:
        visible = Issue.objects.of_instances(Instance.objects.of_account(self.request.auth))
        return visible.select_related("endpoint__instance")

    def get_own_issue(self, id: str) -> Issue:
        public_id = parse_issue_id(id)
        found = public_id and self.get_queryset().filter(public_id=public_id).first()
        if not found:
            raise exceptions.NotFound(f"Your account has no issue {id}.")
        return found

    def shown(self, id: str) -> Response:
        [issue] = with_words([self.get_own_issue(id)])
        return Response(IssueSerializer(issue).data)

    @extend_schema(
        operation_id="listIssues",
        summary="List issues",
        description="Newest first. An issue appears within a minute of its first failure, and is kept as long as the "
        "hooks.",
        parameters=[
            OpenApiParameter(
                "state", str, enum=IssueState.values, description="Only issues in this state. Default: all."
            )
        ],
        responses={200: IssueSerializer(many=True), **schema.error_responses(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def filter_queryset(self, queryset: Any) -> Any:
        state = self.request.query_params.get("state")
        if state is None:
            return queryset
        if state not in IssueState.values:
            raise exceptions.ValidationError({"state": f"Must be one of: {', '.join(IssueState.values)}."})
        return queryset.filter(state=state)

    @extend_schema(
        operation_id="readIssue",
        summary="Read one issue",
        parameters=[schema.ISSUE_ID],
        responses={200: IssueSerializer, **schema.error_responses(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return self.shown(id)

    @extend_schema(
        operation_id="acknowledgeIssue",
        summary="Acknowledge an issue",
        description="Only an open issue can be acknowledged. It is no longer counted in the menu, nor mailed.",
        parameters=[schema.ISSUE_ID],
        request=None,
        responses={200: IssueSerializer, **schema.error_responses(404, 409)},
        examples=[EXAMPLE],
    )
    def acknowledge(self, request: Request, id: str) -> Response:
        issue = self.get_own_issue(id)
        try:
            actions.acknowledge(issue, acting_user=request.user)
        except NotPossible as reason:
            raise Conflict(str(reason)) from None
        return self.shown(id)

    @extend_schema(
        operation_id="resendIssue",
        summary="Resend what was missed",
        description="Creates a redelivery of the issue's failed hooks, `missed`. Hooks that are still retried are left "
        "to their schedule. 409 if none can be resent, or an open redelivery resends them already: the error names it.",
        parameters=[schema.ISSUE_ID],
        request=None,
        responses={201: RedeliverySerializer, **schema.error_responses(404, 409)},
        examples=[
            OpenApiExample("Planned", value=schema.REDELIVERY, response_only=True, status_codes=["201"])
        ],
    )
    def resend(self, request: Request, id: str) -> Response:
        issue = self.get_own_issue(id)
        instances = Instance.objects.of_account(request.auth)
        try:
            job = actions.resend_missed(issue, instances=instances, acting_user=request.user)
        except NotPossible as reason:
            raise Conflict(str(reason)) from None
        created = Redelivery.objects.with_totals().get(pk=job.pk)
        return Response(RedeliverySerializer(created).data, status.HTTP_201_CREATED)
