"""The types of a hook's body (contract.md, section 3). instances/payloads.py builds the bodies, and mypy compares them.

The OpenAPI document's JSON Schemas are generated from them (instances/api/hook_schemas.py): of an annotation, a text is
the description, and a dict is added to the schema.
"""

from typing import Annotated, Any, NotRequired, TypedDict

from instances.models import AccountStatus, Ack, MessageType, Substatus

InstanceId = Annotated[str, "The instance's id.", {"pattern": "^[0-9]{1,10}$"}]
UnixTime = Annotated[int, "Unix seconds.", {"minimum": 0}]
ChatId = Annotated[str, "The id of the chat, such as `17680561234@c.us`; of a group it ends with `@g.us`."]
AccountStatusText = Annotated[str, {"enum": AccountStatus.values}]
SubstatusText = Annotated[str, {"enum": Substatus.values}]


class HookMessage(TypedDict):
    """A message. All keys are always present, in this order, except `ack`: only outgoing messages have it."""

    id: Annotated[str, "`{fromMe}_{chatId}_{HEX}`, in groups `…_{author}` too."]
    body: Annotated[
        str,
        "A text, the URL of a file, `lat;lng`, or a vCard, by `type`. Of a missed call `[Call]`, of a video "
        "`upload disabled` unless `videoUploadOn` is on.",
    ]
    fromMe: Annotated[bool, "Whether the instance sent it."]
    self: Annotated[int, "1: sent by the API. 0: received, or typed on the phone.", {"enum": [0, 1]}]
    isForwarded: Annotated[int, "How often it was forwarded.", {"minimum": 0}]
    author: Annotated[str, "The chat id of the sender; in a group, of the member."]
    time: UnixTime
    chatId: ChatId
    messageNumber: Annotated[int, "Counts per instance, without gaps.", {"minimum": 0}]
    type: Annotated[str, "The type of the message.", {"enum": MessageType.values}]
    senderName: Annotated[str, "The name of the sender, or the number."]
    caption: Annotated[str | None, "The text of a file."]
    quotedMsgBody: Annotated[str | None, "The body of the message that it quotes."]
    quotedMsgId: Annotated[str | None, "The id of the message that it quotes."]
    quotedMsgType: Annotated[str | None, "The type of the message that it quotes."]
    chatName: Annotated[str, "The name of the chat, or its number."]
    metadata: Annotated[dict[str, Any] | None, "Data of the message, such as the people that it mentions."]
    ack: NotRequired[Annotated[int, "1: sent. 2: delivered. 3: viewed.", {"enum": Ack.values}]]


class HookAck(TypedDict):
    """An ack of a message that the instance has sent. A status never goes back, but one can be skipped."""

    id: Annotated[str, "The id of the message, as in the send reply."]
    queueNumber: Annotated[int, "As in the send reply. 0 if there was none.", {"minimum": 0}]
    chatId: ChatId
    status: Annotated[str, "How far the message has come.", {"enum": Ack.labels}]


class HookChatMetadata(TypedDict):
    """Whether a chat is a group, and its participants. A direct chat has none."""

    isGroup: bool
    participants: Annotated[list[str], "Chat ids, in the order in which they joined."]
    admins: Annotated[list[str], "Those of the participants that are admins."]
    groupInviteLink: Annotated[
        str | None, "Null for a direct chat, and after the account has left the group."
    ]


class HookChat(TypedDict):
    """A chat as it was before or is after a change."""

    id: ChatId
    name: Annotated[str, "The name of the chat, or its number."]
    image: Annotated[str | None, "The URL of the picture."]
    metadata: HookChatMetadata
    last_time: Annotated[int, "The time of the last message, in Unix seconds.", {"minimum": 0}]


class HookChatChange(TypedDict):
    """A new chat, or a change of its name, picture or members."""

    old: Annotated[HookChat | None, "Null if the chat is new."]
    new: HookChat


class HookStatus(TypedDict):
    """The two words of an instance's status."""

    accountStatus: AccountStatusText
    substatus: SubstatusText


class HookStatusChange(TypedDict):
    """A change of an instance's status."""

    old: HookStatus
    new: HookStatus
    time: UnixTime


class MessageHook(TypedDict):
    """The body of a hook about a message."""

    messages: Annotated[list[HookMessage], "One message.", {"minItems": 1}]
    instanceId: InstanceId


class AckHook(TypedDict):
    """The body of a hook about an ack."""

    ack: Annotated[list[HookAck], "One ack.", {"minItems": 1}]
    instanceId: InstanceId


class StatusHook(TypedDict):
    """The body of a hook about the status of the instance."""

    instanceStatus: Annotated[list[HookStatusChange], "One change.", {"minItems": 1}]
    instanceId: InstanceId


class ChatHook(TypedDict):
    """The body of a hook about a chat."""

    chatUpdate: Annotated[list[HookChatChange], "One change.", {"minItems": 1}]
    instanceId: InstanceId
