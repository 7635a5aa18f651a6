"""The links that let anyone read one hook of an instance, with its attempts."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import ShareLink
from instances.models.instances import Instance


class HookShare(ShareLink):
    """A link that lets anyone read a hook. It ends with the hook, which retention deletes."""

    # No constraints: code of the last release deletes instances and users without knowing these links.
    instance = models.ForeignKey(Instance, models.CASCADE, related_name="hook_shares", db_constraint=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_constraint=False,
    )
    hook = models.UUIDField("public id of the hook")  # rows of hooks are in partitions, which are dropped
