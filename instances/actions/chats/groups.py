"""Groups: their participants and admins. Each change creates a chatUpdate hook.

`by_account` is True if the instance's account makes the change: it must be an admin of the group. False means that the
messenger reports a change by another participant. The rules are here and not in a channel, so that queued commands
are checked again when they are carried out. They are not checked for what a messenger with rules of its own
(channels.base.Channel.decides_on_groups) has done or reports: record_joined_group and record_group_change.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from instances import chat_ids, payloads
from instances.actions import events
from instances.actions.chats import change_order
from instances.actions.chats.chats import (
    MAX_PARTICIPANTS,
    Denied,
    add_participants,
    clean_name,
    describe_participants,
    emit_chat_update,
    find_chat,
    without_participants,
)
from instances.models import Chat, Instance, Participant, new_invite_code
from instances.received_events import Person

NO_NAMES: Mapping[str, str] = {}
GROUP_LIMIT = 256  # participants besides the account
NAME_LIMIT = 100  # characters; *ours*


class Taken(Denied):
    """The account already has a chat with this id."""


@transaction.atomic
def create_group(
    instance: Instance,
    *,
    chat_id: str,
    name: str,
    members: Iterable[str],
    admins: Iterable[str] | None = None,
    image: str = "",
    is_of_messenger: bool = False,
) -> Chat:
    """Record a new group of the account. The account is its admin, unless `admins` is given.

    `is_of_messenger`: a messenger with rules of its own has it. The messenger may have reported it first, as the chat
    with this id; and the group has no invite link here, which would not work there.

    Raises:
        Taken: there is a chat with this id.
    """
    events.lock(instance)
    known = Chat.objects.filter(instance=instance, chat_id=chat_id).first()
    if known is not None and is_of_messenger:
        return record_joined_group(instance, chat_id=chat_id, name=name, image=image)
    if known is not None:
        raise Taken(f"There is a chat {chat_id} already.")
    own = instance.own_chat_id
    admin_ids = {own} if admins is None else set(admins)
    chat = Chat.objects.create(
        instance=instance,
        chat_id=chat_id,
        name=name[:200],
        image=image,
        is_group=True,
        invite_code="" if is_of_messenger else new_invite_code(),
    )
    add_participants(chat, [own, *members], admins=admin_ids)
    events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(chat)))
    return chat


def find_group(instance: Instance, group_id: str) -> Chat:
    """Returns the account's group with this id. Raises Denied."""
    if not chat_ids.is_group(group_id):
        raise Denied(f"{group_id} is not a group.")
    try:
        return find_chat(instance, group_id)
    except Denied:
        raise Denied(f"The group {group_id} was not found.") from None


def lock_group(instance: Instance, group_id: str, *, by_account: bool) -> tuple[Chat, dict[str, bool]]:
    """Lock the instance; returns the group and its participants with whether each is an admin.

    Raises:
        Denied: the group does not exist, or the account may not change it.
    """
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
) -> Chat:
    """Add a participant.

    Raises:
        Denied: the group does not exist or is full, the account is not its admin, or the member is in it already.
    """
    group, people = lock_group(instance, group_id, by_account=by_account)
    if member in people:
        raise Denied(f"{member} is in the group already.")
    if len(people.keys() - {instance.own_chat_id}) >= GROUP_LIMIT:
        raise Denied(f"The group has {GROUP_LIMIT} participants, which is the limit.")
    before = payloads.chat_dict(group, list(people.items()))
    add_participants(group, [member])
    emit_chat_update(group, before)
    return group


@transaction.atomic
def remove_participant(
    instance: Instance,
    *,
    group_id: str,
    member: str,
    by_account: bool = True,
) -> Chat:
    """Remove a participant.

    Raises:
        Denied: the group does not exist, the account is not its admin, the member is not in it, or it is the account
            itself (leave_group).
    """
    group, people = lock_group(instance, group_id, by_account=by_account)
    if member not in people:
        raise Denied(f"{member} is not in the group.")
    if member == instance.own_chat_id:
        if by_account:
            raise Denied("The account itself goes by leaveGroup.")
        group.left_at = timezone.now()
        group.save(update_fields=["left_at"])
    before = payloads.chat_dict(group, list(people.items()))
    delete_participant(group, people, member)
    emit_chat_update(group, before)
    return group


@transaction.atomic
def set_admin(
    instance: Instance,
    *,
    group_id: str,
    member: str,
    on: bool,
    by_account: bool = True,
) -> Chat:
    """Make a participant an admin, or an ordinary participant.

    Raises:
        Denied: as in add_participant, or the member is the group's only admin.
    """
    group, people = lock_group(instance, group_id, by_account=by_account)
    if member not in people:
        raise Denied(f"{member} is not in the group.")
    if people[member] == on:
        raise Denied(f"{member} is an admin already." if on else f"{member} is not an admin.")
    if not on and sum(people.values()) == 1:
        raise Denied(f"{member} is the group's only admin.")
    before = payloads.chat_dict(group, list(people.items()))
    Participant.objects.filter(chat=group, member=member).update(is_admin=on)
    emit_chat_update(group, before)
    return group


@transaction.atomic
def leave_group(instance: Instance, *, group_id: str) -> Chat:
    """Leave the group. The chat stays in the list, without its invite link.

    Raises:
        Denied: the group does not exist, or the account is not in it.
    """
    events.lock(instance)
    group = find_group(instance, group_id)
    people = dict(payloads.members_of(group))
    if group.left_at or instance.own_chat_id not in people:
        raise Denied(f"The account is not in the group {group_id}.")
    before = payloads.chat_dict(group, list(people.items()))
    group.left_at = timezone.now()
    group.save(update_fields=["left_at"])
    delete_participant(group, people, instance.own_chat_id)
    emit_chat_update(group, before)
    return group


def delete_participant(group: Chat, people: dict[str, bool], member: str) -> None:
    """Delete `member`. If they were the last admin, the participant who joined first becomes admin."""
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
) -> Chat:
    """Record that the account joined a group by its link; `members` as returned by payloads.members_of.

    A group that the account was in before keeps its chat. A group that it is in stays unchanged.
    """
    events.lock(instance)
    group = Chat.objects.filter(instance=instance, chat_id=chat_id, left_at=None, removed_at=None).first()
    if group is not None and not without_participants(group, [instance.own_chat_id]):
        group.instance = instance
        return group
    people = [((member,), is_admin) for member, is_admin in members]
    return record_joined_group(instance, chat_id=chat_id, name=name, image=image, members=people)


@transaction.atomic
def record_joined_group(
    instance: Instance,
    *,
    chat_id: str,
    name: str = "",
    image: str = "",
    members: Collection[tuple[Person, bool]] = (),
    names: Mapping[str, str] = NO_NAMES,
    stays_removed: bool = False,
    time: datetime | None = None,
) -> Chat:
    """Record that the account is in a group, with all its members and whether each is an admin, and people's names.

    A chat that was removed from the list of dialogs is put back, unless `stays_removed`. If the account has left the
    group after `time`, nothing changes; a member who has come, left or got a role after it stays as they are.

    Unlike join_group, it also changes a group that the account is in: the messenger reports a group with its members
    before or after the account's command, whose response may name no members, is recorded.
    """
    events.lock(instance)
    own = instance.own_chat_id
    group = Chat.objects.with_last_message().filter(instance=instance, chat_id=chat_id).first()
    if group is not None and change_order.outdated(group, [own], time):
        group.instance = instance
        return group
    before = payloads.chat_dict(group) if group else None
    if group is None:
        group = Chat.objects.create(instance=instance, chat_id=chat_id, is_group=True)
    group.instance = instance
    is_renamed = clean_name(name) and not change_order.outdated(group, [change_order.NAME], time)
    group.name, group.image = clean_name(name) if is_renamed else group.name, image or group.image
    change_order.remember(group, [own, change_order.NAME] if is_renamed else [own], time)
    group.left_at, group.removed_at = None, group.removed_at if stays_removed else None
    group.save(update_fields=["name", "image", "left_at", "removed_at"])
    known = dict(payloads.members_of(group))
    ids = Ids(group, [person for person, _ in members])
    people = {ids.recorded(person, known): is_admin for person, is_admin in members}
    if people and (later := change_order.outdated(group, {*people, *known}, time)):
        people = {one: is_admin for one, is_admin in people.items() if one not in later}
        people |= {one: is_admin for one, is_admin in known.items() if one in later}
    if people:
        change_participants(group, known, limited(people | {own: people.get(own, False)}, known, own))
    elif own not in known:
        add_participants(group, [own])
    ids.describe(names, people)
    if before is None:
        events.emit(instance, events.of_chat(instance, old=None, new=payloads.chat_dict(group)))
    else:
        emit_chat_update(group, before)
    return group


@transaction.atomic
def record_group_change(
    instance: Instance,
    *,
    group_id: str,
    name: str = "",
    joined: Collection[Person] = (),
    left: Collection[Person] = (),
    promoted: Collection[Person] = (),
    demoted: Collection[Person] = (),
    same: Collection[Person] = (),
    names: Mapping[str, str] = NO_NAMES,
    time: datetime | None = None,
) -> None:
    """Record what the messenger reports of a group, with one hook; "" is an unchanged name.

    What is recorded already changes nothing, so it may be reported again; nor does what is older, by `time`, than what
    was reported of the same member or name. A group that is not in the list of dialogs is left out.
    """
    events.lock(instance)
    try:
        group = find_group(instance, group_id)
    except Denied:
        return
    known = dict(payloads.members_of(group))
    before = payloads.chat_dict(group, list(known.items()))
    people, own = dict(known), instance.own_chat_id
    ids = Ids(group, [*joined, *promoted, *demoted, *same, *left])
    ids.merge(people)
    changed = {ids.recorded(person, people) for person in (*joined, *promoted, *demoted, *left)}
    changed |= {change_order.NAME} if name else set()
    outdated = change_order.outdated(group, changed, time)
    joined, promoted, demoted, left = (
        [person for person in persons if ids.recorded(person, people) not in outdated]
        for persons in (joined, promoted, demoted, left)
    )
    change_order.remember(group, changed - outdated, time)
    for person in joined:
        people.setdefault(ids.recorded(person, people), False)
        group.left_at = None if own in person else group.left_at
    for admins, is_admin in ((promoted, True), (demoted, False)):
        people |= {ids.recorded(person, people): is_admin for person in admins}
    for person in left:
        people.pop(ids.recorded(person, people), None)
        group.left_at = group.left_at or timezone.now() if own in person else group.left_at
    if change_order.NAME not in outdated:
        group.name = clean_name(name) or group.name
    group.save(update_fields=["name", "left_at"])
    change_participants(group, known, limited(people, known, own))
    ids.describe(names, people)
    emit_chat_update(group, before)


class Ids:
    """By which ids these people are participants of a group. One query, none without people."""

    def __init__(self, group: Chat, people: Iterable[Person]) -> None:
        self.group, self.people = group, [person for person in people if person]
        found = Participant.objects.filter(chat=group).exclude(other_id="") if self.people else ()
        self.members = {one.other_id: one.member for one in found}  # by second id
        self.names: dict[str, str] = {}  # of those who were listed twice

    def of(self, person: Person) -> list[str]:
        """Returns the ids by which the person may be a participant."""
        return list(dict.fromkeys([*person, *(self.members[one] for one in person if one in self.members)]))

    def recorded(self, person: Person, known: Mapping[str, bool]) -> str:
        """Returns the id by which the person is a participant; the first one if they are none."""
        return next((one for one in self.of(person) if one in known), person[0])

    def merge(self, people: dict[str, bool]) -> None:
        """Make one participant of each person who is listed by two ids: the earlier one."""
        for person in self.people:
            mine = self.of(person)
            listed = [one for one in people if one in mine] if len(mine) > 1 else []
            for other in listed[1:]:
                people[listed[0]] = people.pop(other) or people[listed[0]]
                row = Participant.objects.filter(chat=self.group, member=other).first()
                self.names[listed[0]] = row.name if row else ""

    def describe(self, names: Mapping[str, str], people: Mapping[str, bool]) -> None:
        """Record the names of participants, and their second ids."""
        shown, other_ids = dict(self.names), dict[str, str]()
        for person in self.people:
            member = self.recorded(person, people)
            shown[member] = next(filter(None, map(names.get, person)), shown.get(member, ""))
            if other := next((one for one in person if one != member), ""):
                other_ids[member] = other
        describe_participants(self.group, names=shown, other_ids=other_ids)


def limited(people: Mapping[str, bool], known: Mapping[str, bool], own: str) -> dict[str, bool]:
    """Returns up to MAX_PARTICIPANTS of the people: the account and those who are stored first, then the admins."""
    if len(people) <= MAX_PARTICIPANTS:
        return dict(people)
    first = sorted(people, key=lambda one: (one != own, one not in known, not people[one]))
    kept = set(first[:MAX_PARTICIPANTS])
    return {one: is_admin for one, is_admin in people.items() if one in kept}


def change_participants(group: Chat, known: Mapping[str, bool], wanted: Mapping[str, bool]) -> None:
    """Change the participants from those that are `known`; both with whether each is an admin."""
    participants = Participant.objects.filter(chat=group)
    participants.filter(member__in=[one for one in known if one not in wanted]).delete()
    for is_admin in (True, False):
        changed = [one for one in known if known[one] != is_admin and wanted.get(one) == is_admin]
        participants.filter(member__in=changed).update(is_admin=is_admin)
    new = [one for one in wanted if one not in known]
    add_participants(group, new, admins=[one for one in new if wanted[one]])


def invite_link_of(group: Chat) -> str | None:
    """Returns the group's invite link; None if it has none or the account has left it."""
    return payloads.chat_dict(group, ())["metadata"]["groupInviteLink"]
