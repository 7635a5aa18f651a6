"""The URLs of instances, messages and hooks under /api/v1/. chatapi/rest_urls.py serves them."""

from typing import Any

from instances.api.sandbox.chat_views import ChatMessagesView, ChatView
from instances.api.sandbox.contact_views import ContactsView, ContactView
from instances.api.sandbox.group_views import GroupsView, GroupView
from instances.api.sandbox.message_views import CallView, MessageView, PhoneMessageView, ReceiptView
from instances.api.sandbox.phone_views import PhoneView, ResetView
from instances.api.sandbox.write_at_once import usual_calls_at_once
from instances.api.views.account import AccountView
from instances.api.views.alerts import AlertSecretView, AlertTestView, AlertViewSet, AlertWebhookView
from instances.api.views.delivery import DeliveryView, PauseView, ResumeView, RotateSecretView
from instances.api.views.endpoints import EndpointViewSet
from instances.api.views.hooks import HookViewSet
from instances.api.views.instances import InstanceViewSet
from instances.api.views.issues import IssueViewSet
from instances.api.views.keys import KeyViewSet
from instances.api.views.links import ChannelsView, LinkView, PairingCodeView
from instances.api.views.listening import ListenersView, ListenerView, ReportView, TakeView
from instances.api.views.members import MembersView, MemberView
from instances.api.views.messages import FailedViewSet, MessageViewSet, QueueViewSet
from instances.api.views.redeliveries import RedeliveryViewSet
from instances.api.views.statistics import (
    AccountStatisticsView,
    EndpointHealthView,
    EndpointStatisticsView,
    StatisticsView,
)
from instances.api.views.turns import ReceivedViewSet

instances: Any = InstanceViewSet.as_view({"get": "list", "post": "create"})
instance: Any = InstanceViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})
endpoint: Any = EndpointViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})

ROUTES = (
    ("account", AccountView.as_view(), "account"),
    ("keys", KeyViewSet.as_view({"get": "list", "post": "create"}), "keys"),
    ("keys/<str:id>", KeyViewSet.as_view({"get": "retrieve"}), "key"),
    ("keys/<str:id>/rotate", KeyViewSet.as_view({"post": "rotate"}), "key-rotate"),
    ("keys/<str:id>/revoke", KeyViewSet.as_view({"post": "revoke"}), "key-revoke"),
    ("members", MembersView.as_view(), "members"),
    ("members/<str:id>", MemberView.as_view(), "member"),
    ("alert-webhook", AlertWebhookView.as_view(), "alert-webhook"),
    ("alert-webhook/rotate-secret", AlertSecretView.as_view(), "alert-webhook-rotate-secret"),
    ("alert-webhook/test", AlertTestView.as_view(), "alert-webhook-test"),
    ("alert-webhook/alerts", AlertViewSet.as_view({"get": "list"}), "alert-webhook-alerts"),
    ("statistics", AccountStatisticsView.as_view(), "account-statistics"),
    ("channels", ChannelsView.as_view(), "channels"),
    ("instances", instances, "instances"),
    ("instances/<str:id>", instance, "instance"),
    ("instances/<str:id>/link", LinkView.as_view(), "link"),
    ("instances/<str:id>/link/pairing-code", PairingCodeView.as_view(), "pairing-code"),
    ("instances/<str:id>/endpoints", EndpointViewSet.as_view({"get": "list", "post": "create"}), "endpoints"),
    ("instances/<str:id>/endpoints/<str:endpointId>", endpoint, "endpoint"),
    *(
        (
            f"instances/<str:id>/endpoints/<str:endpointId>/{action.replace('_', '-')}",
            EndpointViewSet.as_view({"post": action}),
            f"endpoint-{action.replace('_', '-')}",
        )
        for action in ("pause", "resume", "rotate_secret", "test")
    ),
    (
        "instances/<str:id>/endpoints/<str:endpointId>/health",
        EndpointHealthView.as_view(),
        "endpoint-health",
    ),
    (
        "instances/<str:id>/endpoints/<str:endpointId>/statistics",
        EndpointStatisticsView.as_view(),
        "endpoint-statistics",
    ),
    ("instances/<str:id>/statistics", StatisticsView.as_view(), "statistics"),
    ("instances/<str:id>/listeners", ListenersView.as_view(), "listeners"),
    ("instances/<str:id>/listeners/<str:listenerId>", ListenerView.as_view(), "listener"),
    ("instances/<str:id>/listeners/<str:listenerId>/take", TakeView.as_view(), "listener-take"),
    ("instances/<str:id>/listeners/<str:listenerId>/results", ReportView.as_view(), "listener-results"),
    ("instances/<str:id>/webhook-secret/rotate", RotateSecretView.as_view(), "rotate-secret"),
    ("instances/<str:id>/delivery", DeliveryView.as_view(), "delivery"),
    ("instances/<str:id>/delivery/pause", PauseView.as_view(), "delivery-pause"),
    ("instances/<str:id>/delivery/resume", ResumeView.as_view(), "delivery-resume"),
    ("instances/<str:id>/queue", QueueViewSet.as_view({"get": "retrieve"}), "queue"),
    ("instances/<str:id>/queue/messages", QueueViewSet.as_view({"get": "list"}), "queue-messages"),
    ("instances/<str:id>/queue/failed", FailedViewSet.as_view({"get": "list"}), "queue-failed"),
    ("instances/<str:id>/queue/clear", QueueViewSet.as_view({"post": "clear"}), "queue-clear"),
    # ids of messengers may have slashes
    (
        "instances/<str:id>/messages/<path:messageId>/tries",
        MessageViewSet.as_view({"get": "tries"}),
        "message-tries",
    ),
    (
        "instances/<str:id>/messages/<path:messageId>/cancel",
        MessageViewSet.as_view({"post": "cancel"}),
        "message-cancel",
    ),
    (
        "instances/<str:id>/messages/<path:messageId>/resend",
        MessageViewSet.as_view({"post": "resend"}),
        "message-resend",
    ),
    (
        "instances/<str:id>/messages/<path:messageId>/turn",
        ReceivedViewSet.as_view({"get": "turn"}),
        "message-turn",
    ),
    ("instances/<str:id>/messages/<path:messageId>", MessageViewSet.as_view({"get": "retrieve"}), "message"),
    ("instances/<str:id>/received", ReceivedViewSet.as_view({"get": "list"}), "received"),
    (
        "instances/<str:id>/sandbox/messages",
        usual_calls_at_once(MessageView.as_view()),
        "sandbox-messages",
    ),
    ("instances/<str:id>/sandbox/calls", CallView.as_view(), "sandbox-calls"),
    ("instances/<str:id>/sandbox/receipts", ReceiptView.as_view(), "sandbox-receipts"),
    ("instances/<str:id>/sandbox/phone", PhoneView.as_view(), "sandbox-phone"),
    ("instances/<str:id>/sandbox/phone/messages", PhoneMessageView.as_view(), "sandbox-phone-messages"),
    ("instances/<str:id>/sandbox/contacts", ContactsView.as_view(), "sandbox-contacts"),
    ("instances/<str:id>/sandbox/contacts/<str:phone>", ContactView.as_view(), "sandbox-contact"),
    ("instances/<str:id>/sandbox/groups", GroupsView.as_view(), "sandbox-groups"),
    ("instances/<str:id>/sandbox/groups/<str:chatId>", GroupView.as_view(), "sandbox-group"),
    ("instances/<str:id>/sandbox/chats/<str:chatId>", ChatView.as_view(), "sandbox-chat"),
    (
        "instances/<str:id>/sandbox/chats/<str:chatId>/messages",
        ChatMessagesView.as_view(),
        "sandbox-chat-messages",
    ),
    ("instances/<str:id>/sandbox/reset", ResetView.as_view(), "sandbox-reset"),
    ("hooks", HookViewSet.as_view({"get": "list"}), "hooks"),
    ("hooks/<str:id>", HookViewSet.as_view({"get": "retrieve"}), "hook"),
    ("hooks/<str:id>/resend", HookViewSet.as_view({"post": "resend"}), "hook-resend"),
    ("hooks/<str:id>/try-now", HookViewSet.as_view({"post": "try_now"}), "hook-try-now"),
    ("hooks/<str:id>/skip", HookViewSet.as_view({"post": "skip"}), "hook-skip"),
    ("hooks/<str:id>/cancel", HookViewSet.as_view({"post": "cancel"}), "hook-cancel"),
    ("hooks/<str:id>/shares", HookViewSet.as_view({"get": "shares", "post": "share"}), "hook-shares"),
    ("hooks/<str:id>/shares/<str:shareId>", HookViewSet.as_view({"delete": "revoke"}), "hook-share"),
    ("issues", IssueViewSet.as_view({"get": "list"}), "issues"),
    ("issues/<str:id>", IssueViewSet.as_view({"get": "retrieve"}), "issue"),
    ("issues/<str:id>/acknowledge", IssueViewSet.as_view({"post": "acknowledge"}), "issue-acknowledge"),
    ("issues/<str:id>/resend", IssueViewSet.as_view({"post": "resend"}), "issue-resend"),
    ("redeliveries", RedeliveryViewSet.as_view({"get": "list", "post": "create"}), "redeliveries"),
    ("redeliveries/<str:id>", RedeliveryViewSet.as_view({"get": "retrieve"}), "redelivery"),
    ("redeliveries/<str:id>/pause", RedeliveryViewSet.as_view({"post": "pause"}), "redelivery-pause"),
    ("redeliveries/<str:id>/resume", RedeliveryViewSet.as_view({"post": "resume"}), "redelivery-resume"),
    ("redeliveries/<str:id>/cancel", RedeliveryViewSet.as_view({"post": "cancel"}), "redelivery-cancel"),
)
