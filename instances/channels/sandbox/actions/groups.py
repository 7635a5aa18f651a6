"""What the sandbox's contacts do with groups that the account is in: make them, change them, throw it out."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from accounts.models import User
from instances.actions import events
from instances.actions.chats import chats, groups
from instances.channels.sandbox.actions.preconditions import must_be_linked
from instances.channels.sandbox.group_ids import free_group_id
from instances.models import Chat, Instance


@transaction.atomic
def group_of_contact(
    instance: Instance,
    *,
    name: str,
    by: str,
    members: Iterable[str] = (),
    image: str = "",
    acting_user: User | None = None,
) -> Chat:
    """A contact (chat id `by`) makes a group with the account and `members` in it, and is its admin.

    Raises NotLinked.
    """
    events.lock(instance)
    must_be_linked(instance, "nobody can put it into a group")
    return groups.create_group(
        instance,
        chat_id=free_group_id(instance, creator=by),
        name=name,
        image=image,
        members=[by, *(member for member in members if member != instance.own_chat_id)],
        admins=[by],
        acting_user=acting_user,
    )


@transaction.atomic
def change_group(
    instance: Instance,
    *,
    group_id: str,
    name: str | None = None,
    image: str | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    promote: Iterable[str] = (),
    demote: Iterable[str] = (),
    acting_user: User | None = None,
) -> Chat:
    """Other members change a group, each change with its hook; all or nothing. Raises Denied and NotLinked."""
    events.lock(instance)
    must_be_linked(instance, "no change of a group reaches it")
    group = groups.find_group(instance, group_id)
    if name is not None or image is not None:
        chats.change_chat(instance, chat_id=group_id, name=name, image=image, acting_user=acting_user)
    for member in add:
        if member == instance.own_chat_id:
            groups.join_group(instance, chat_id=group_id, acting_user=acting_user)
        else:
            groups.add_participant(instance, group_id=group_id, member=member, by_account=False)
    for member in promote:
        groups.set_admin(instance, group_id=group_id, member=member, on=True, by_account=False)
    for member in demote:
        groups.set_admin(instance, group_id=group_id, member=member, on=False, by_account=False)
    for member in remove:
        groups.remove_participant(instance, group_id=group_id, member=member, by_account=False)
    group.refresh_from_db()
    return group
