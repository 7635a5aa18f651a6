"""Contacts that the mask of `banSettings` has banned."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from instances.models.instances import Instance


class BannedContact(models.Model):
    """A contact whose number matches the mask, and who got the preBanMessage when they wrote."""

    # DO_NOTHING: a task deletes the rows of a deleted instance, see instances/actions/deleted_data.py.
    instance = models.ForeignKey(
        Instance, models.DO_NOTHING, related_name="banned_contacts", db_constraint=False
    )
    chat_id = models.CharField(max_length=100)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="instances_bannedcontact_once", fields=["instance", "chat_id"])
        ]

    def __str__(self) -> str:
        return self.chat_id
