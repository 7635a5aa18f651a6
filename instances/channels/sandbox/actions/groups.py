"""Groups that the sandbox's contacts create and change, with the instance's account in them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from instances.actions import events
from instances.actions.chats import chats, groups
from instances.channels.sandbox.actions.preconditions import require_linked
from instances.channels.sandbox.group_ids import free_group_id
from instances.models import Chat, Instance


@transaction.atomic
def create_group_as_contact(
    instance: Instance,
    *,
    name: str,
    by: str,
    members: Iterable[str] = (),
    image: str = "",
) -> Chat:
    """Create a group of the contact `by` (a chat id), who is its admin, the account and `members`.

    Raises:
        NotLinked: no phone is linked or connected.
    """
    events.lock(instance)
    require_linked(instance, "it cannot be added to a group")
    return groups.create_group(
        instance,
        chat_id=free_group_id(instance, creator=by),
        name=name,
        image=image,
        members=[by, *(member for member in members if member != instance.own_chat_id)],
        admins=[by],
    )


@transaction.atomic
def change_group_as_contact(
    instance: Instance,
    *,
    group_id: str,
    name: str | None = None,
    image: str | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    promote: Iterable[str] = (),
    demote: Iterable[str] = (),
) -> Chat:
    """Change a group as its other members would: all changes or none, each with its hook.

    Members are chat ids. Removing the account's own chat id removes the account from the group.

    Raises:
        Denied: a change is not allowed in this group.
        NotLinked: no phone is linked or connected.
    """
    events.lock(instance)
    require_linked(instance, "changes of a group do not reach it")
    group = groups.find_group(instance, group_id)
    if name is not None or image is not None:
        chats.change_chat(instance, chat_id=group_id, name=name, image=image)
    for member in add:
        if member == instance.own_chat_id:
            groups.join_group(instance, chat_id=group_id)
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
