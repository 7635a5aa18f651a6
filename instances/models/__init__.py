"""The models of an instance: settings and status, chats and messages, queues, the sandbox's contacts."""

from instances.models.alerts import Alert, AlertState, AlertWebhook
from instances.models.bans import BannedContact
from instances.models.chats import (
    Chat,
    Label,
    MembershipChange,
    Participant,
    new_invite_code,
)
from instances.models.choices import (
    CONNECTED,
    FILE_TYPES,
    NOT_PAID,
    QR_CODE_LIFETIME,
    AccountStatus,
    Ack,
    ActionType,
    Channel,
    LoadingReason,
    MessageType,
    SendState,
    StopReason,
    Substatus,
    TryResult,
)
from instances.models.hook_shares import HookShare
from instances.models.instances import (
    NEVER,
    DeletedInstance,
    Instance,
    InstanceQuerySet,
    StatusChange,
    new_number,
    new_token,
)
from instances.models.message_states import (
    MessageState,
    message_state,
    sent_message_state,
)
from instances.models.messages import (
    MEDIA_KEPT,
    Media,
    Message,
    StoredFile,
    media_expiry,
    new_media_key,
)
from instances.models.queues import (
    DELIVERY_DEADLINE,
    WAITING_SQL,
    OutgoingMessage,
    OutgoingQueue,
    QueuedAction,
)
from instances.models.receiving import (
    CALLBACK_WAITING_SQL,
    ChannelLink,
    ReceiverState,
    StoredCallback,
)
from instances.models.sandbox import (
    SandboxContact,
    SandboxReceipt,
)
from instances.models.sending import SendingTry

__all__ = [
    "CALLBACK_WAITING_SQL",
    "CONNECTED",
    "DELIVERY_DEADLINE",
    "FILE_TYPES",
    "MEDIA_KEPT",
    "NEVER",
    "NOT_PAID",
    "QR_CODE_LIFETIME",
    "WAITING_SQL",
    "AccountStatus",
    "Ack",
    "ActionType",
    "Alert",
    "AlertState",
    "AlertWebhook",
    "BannedContact",
    "Channel",
    "ChannelLink",
    "Chat",
    "DeletedInstance",
    "HookShare",
    "Instance",
    "InstanceQuerySet",
    "Label",
    "LoadingReason",
    "Media",
    "MembershipChange",
    "Message",
    "MessageState",
    "MessageType",
    "OutgoingMessage",
    "OutgoingQueue",
    "Participant",
    "QueuedAction",
    "ReceiverState",
    "SandboxContact",
    "SandboxReceipt",
    "SendState",
    "SendingTry",
    "StatusChange",
    "StopReason",
    "StoredCallback",
    "StoredFile",
    "Substatus",
    "TryResult",
    "media_expiry",
    "message_state",
    "new_invite_code",
    "new_media_key",
    "new_number",
    "new_token",
    "sent_message_state",
]
