"""Invite links of the sandbox: the account of one instance joins a group of another instance.

Each instance has its own row of the group. Joining copies the row, and the inviting instance records that the account
joined, and later that it left. Messages are not passed between the instances: write them as a sandbox contact.
"""

from instances import payloads
from instances.actions.chats.chats import Denied
from instances.actions.chats.groups import add_participant, remove_participant
from instances.commands import MessengerGroup
from instances.models import Channel, Chat, Instance


def join_by_invite_code(instance: Instance, code: str) -> MessengerGroup:
    """Join a group by its invite code.

    Raises:
        Denied: no group has this invite code.
    """
    groups = Chat.objects.with_invite_code(code).filter(instance__channel=Channel.SANDBOX)
    group = groups.select_related("instance").first()
    if group is None:
        raise Denied("The invite link leads to no group.")
    own = instance.own_chat_id
    if group.instance_id != instance.pk and own not in dict(payloads.members_of(group)):
        add_participant(group.instance, group_id=group.chat_id, member=own, by_account=False)
    return MessengerGroup(group.chat_id, group.name, group.image, tuple(payloads.members_of(group)))


def leave_groups_of_others(instance: Instance, group_id: str) -> None:
    """Remove the account from this group at every other instance that has it as a participant."""
    groups = Chat.objects.listed().filter(
        chat_id=group_id, participants__member=instance.own_chat_id, instance__channel=Channel.SANDBOX
    )
    for group in groups.select_related("instance").exclude(instance=instance):
        remove_participant(group.instance, group_id=group_id, member=instance.own_chat_id, by_account=False)
