"""Groups: who is in them, who is an admin, how one comes in and goes. Each change makes a chatUpdate hook.

`by_account` says who does it: the instance's account, which must be in the group and one of its admins, or somebody
else whose deed the messenger reports. The rules stand here and not in a channel, so that what waits in the
queue of actions meets them too, when its turn has come.
"""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from instances import chat_ids, payloads
from instances.actions import events
from instances.actions.chats.chats import Denied, add_participants, find_chat, tell_change
from instances.models import Chat, Instance, Participant, new_invite_code

GROUP_LIMIT = 256  # participants besides the account
NAME_LIMIT = 100  # characters; *ours*


class Taken(Denied):
    """The account has a chat with this id already."""


@transaction.atomic
def create_group(
    instance: Instance,
    *,
    chat_id: str,
    name: str,
    members: Iterable[str],
    admins: Iterable[str] | None = None,
    image: str = "",
    acting_user: User | None = None,
) -> Chat:
    """The messenger reports a new group with the account in it, which is its admin unless `admins` says otherwise.

    `chat_id` is the messenger's. Raises Taken.
    """
    events.lock(instance)
    if Chat.objects.filter(instance=instance, chat_id=chat_id).exists():
        raise Taken(f"There is a chat {chat_id} already.")
    own = instance.own_chat_id
    admin_ids = {own} if admins is None else set(admins)
    chat = Chat.objects.create(
        instance=instance,
        chat_id=chat_id,
        name=name[:200],
        image=image,
        is_group=True,
        invite_code=new_invite_code(),
    )
    add_participants(chat, [own, *members], admins=admin_ids)
    events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(chat)))
    return chat


def find_group(instance: Instance, group_id: str) -> Chat:
    """The group of the account's with this id. Raises Denied."""
    if not chat_ids.is_group(group_id):
        raise Denied(f"{group_id} is not a group.")
    try:
        return find_chat(instance, group_id)
    except Denied:
        raise Denied(f"The group {group_id} was not found.") from None


def opened(instance: Instance, group_id: str, *, by_account: bool) -> tuple[Chat, dict[str, bool]]:
    """The group and its people, member → is it an admin, under the instance's lock. Raises Denied."""
    events.lock(instance)
    group = find_group(instance, group_id)
    people = dict(payloads.members_of(group))
    if by_account:
        if group.left_at or instance.own_chat_id not in people:
            raise Denied(f"The account is not in the group {group_id}.")
        if not people[instance.own_chat_id]:
            raise Denied(f"The account is not an admin of the group {group_id}.")
    return group, people


@transaction.atomic
def add_participant(
    instance: Instance,
    *,
    group_id: str,
    member: str,
    by_account: bool = True,
    acting_user: User | None = None,
) -> Chat:
    """Raises Denied: no such group, not its admin, it is full, or they are in it already."""
    group, people = opened(instance, group_id, by_account=by_account)
    if member in people:
        raise Denied(f"{member} is in the group already.")
    if len(people.keys() - {instance.own_chat_id}) >= GROUP_LIMIT:
        raise Denied(f"The group has {GROUP_LIMIT} participants, which is the limit.")
    before = payloads.chat_dict(group, list(people.items()))
    add_participants(group, [member])
    tell_change(group, before)
    return group


@transaction.atomic
def remove_participant(
    instance: Instance,
    *,
    group_id: str,
    member: str,
    by_account: bool = True,
    acting_user: User | None = None,
) -> Chat:
    """Raises Denied: no such group, not its admin, they are not in it, or it is the account itself: see leave_group."""
    group, people = opened(instance, group_id, by_account=by_account)
    if member not in people:
        raise Denied(f"{member} is not in the group.")
    if member == instance.own_chat_id:
        if by_account:
            raise Denied("The account itself goes by leaveGroup.")
        group.left_at = timezone.now()
        group.save(update_fields=["left_at"])
    before = payloads.chat_dict(group, list(people.items()))
    go(group, people, member)
    tell_change(group, before)
    return group


@transaction.atomic
def set_admin(
    instance: Instance,
    *,
    group_id: str,
    member: str,
    on: bool,
    by_account: bool = True,
    acting_user: User | None = None,
) -> Chat:
    """Makes a participant an admin, or no longer one. Raises Denied; a group keeps its last admin."""
    group, people = opened(instance, group_id, by_account=by_account)
    if member not in people:
        raise Denied(f"{member} is not in the group.")
    if people[member] == on:
        raise Denied(f"{member} is an admin already." if on else f"{member} is not an admin.")
    if not on and sum(people.values()) == 1:
        raise Denied(f"{member} is the group's only admin.")
    before = payloads.chat_dict(group, list(people.items()))
    Participant.objects.filter(chat=group, member=member).update(is_admin=on)
    tell_change(group, before)
    return group


@transaction.atomic
def leave_group(instance: Instance, *, group_id: str, acting_user: User | None = None) -> Chat:
    """The account goes; the chat stays in the list, without its invite link. Raises Denied if it is not in there."""
    events.lock(instance)
    group = find_group(instance, group_id)
    people = dict(payloads.members_of(group))
    if group.left_at or instance.own_chat_id not in people:
        raise Denied(f"The account is not in the group {group_id}.")
    before = payloads.chat_dict(group, list(people.items()))
    group.left_at = timezone.now()
    group.save(update_fields=["left_at"])
    go(group, people, instance.own_chat_id)
    tell_change(group, before)
    return group


def go(group: Chat, people: dict[str, bool], member: str) -> None:
    """Takes `member` out; if they were the last admin, whoever came first of the others is it now."""
    Participant.objects.filter(chat=group, member=member).delete()
    rest = {one: is_admin for one, is_admin in people.items() if one != member}
    if rest and people[member] and not any(rest.values()):
        Participant.objects.filter(chat=group, member=next(iter(rest))).update(is_admin=True)


@transaction.atomic
def join_group(
    instance: Instance,
    *,
    chat_id: str,
    name: str = "",
    image: str = "",
    members: payloads.Members = (),
    acting_user: User | None = None,
) -> Chat:
    """The account has come into a group by its link; `members` are the others, as payloads.members_of gives them.

    A group that it was in before is the same chat again; one that it is in is left as it is.
    """
    events.lock(instance)
    own = instance.own_chat_id
    group = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    before = payloads.chat_dict(group) if group else None
    if group is None:
        group = Chat.objects.create(instance=instance, chat_id=chat_id, is_group=True)
    group.instance = instance
    inside = {member for member, _ in payloads.members_of(group)}
    if group.left_at is None and group.removed_at is None and own in inside:
        return group
    group.name, group.image = name[:200] or group.name, image or group.image
    group.left_at = group.removed_at = None
    group.save(update_fields=["name", "image", "left_at", "removed_at"])
    if members:
        Participant.objects.filter(chat=group).delete()
        add_participants(
            group,
            [member for member, _ in members],
            admins=[member for member, is_admin in members if is_admin],
        )
        inside = {member for member, _ in members}
    if own not in inside:
        add_participants(group, [own])
    if before is None:
        events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(group)))
    else:
        tell_change(group, before)
    return group


def invite_link_of(group: Chat) -> str | None:
    """The group's invite link; None where the account may not give one out."""
    link: str | None = payloads.chat_dict(group, ())["metadata"]["groupInviteLink"]
    return link
