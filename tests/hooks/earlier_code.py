"""Creates hooks in the tables of before, in tests of migrations: present code needs the present tables."""

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from chatapi.database import prepared
from hooks import outbox
from hooks.models import Hook, Kind, Tally
from instances.models import Instance


def emit_as_before(instance: Instance) -> Hook:
    """As code did that changed the tally with each event."""
    events = outbox.as_json([(instance.pk, outbox.Event(Kind.MESSAGE, b"{}"), "")])
    with transaction.atomic():
        [row] = prepared.fetch_all(outbox.INSERT, {"at": timezone.now(), "events": events})
        Tally.objects.filter(pk=instance.pk).update(emitted=F("emitted") + 1)
    return Hook.from_db(connection.alias, outbox.RETURNED, row)
