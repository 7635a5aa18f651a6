"""Django's cache `default` in the database: all processes and machines share it, and no entry is evicted.

allauth counts sign-ups, sign-ins per address and mails in it, and remembers used authenticator codes. Django's
LocMemCache holds 300 entries per process, so 320 requests remove a count. Its DatabaseCache counts all rows before each
write (12 ms with 100 000 rows) and, above a number, deletes entries that have not expired. Here, a write is one
statement (0.3 ms), and the schedule "old counts" deletes what has expired.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection
from django.utils import timezone

from accounts.models import SharedValue

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
TABLE = SharedValue._meta.db_table
# The condition after the conflict decides whether an existing row is replaced.
WRITE = f"""
    INSERT INTO {TABLE} AS held (key, value, expires_at) VALUES (%s, %s::jsonb, %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
    WHERE held.expires_at <= %s RETURNING key
"""


class SharedCache(BaseCache):
    """Stores JSON: numbers, texts, lists, true and false. Keys are stored as hashes, because they contain addresses."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = SharedValue.objects.filter(key=self.stored_key(key, version), expires_at__gt=timezone.now())
        return next(iter(row.values_list("value", flat=True)), default)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Returns the values of the keys that have one. One query."""
        stored = {self.stored_key(key, version): key for key in keys}
        rows = SharedValue.objects.filter(key__in=stored, expires_at__gt=timezone.now())
        return {stored[key]: value for key, value in rows.values_list("key", "value")}

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self.write(key, value, timeout, version, replaced=FOREVER)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set the value if the key has none; returns whether it was set. Of concurrent calls, one returns true."""
        return self.write(key, value, timeout, version, replaced=timezone.now())

    def write(self, key: str, value: Any, timeout: Any, version: int | None, *, replaced: datetime) -> bool:
        """Store the value unless the key has one that expires after `replaced`; returns whether it was stored."""
        with connection.cursor() as cursor:
            cursor.execute(
                WRITE, [self.stored_key(key, version), json.dumps(value), self.expiry(timeout), replaced]
            )
            return cursor.fetchone() is not None

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(SharedValue.objects.filter(key=self.stored_key(key, version)).delete()[0])

    def clear(self) -> None:
        SharedValue.objects.all().delete()

    def stored_key(self, key: str, version: int | None) -> uuid.UUID:
        digest = hashlib.sha256(self.make_key(key, version).encode(errors="replace")).digest()
        return uuid.UUID(bytes=digest[:16])

    def expiry(self, timeout: Any) -> datetime:
        """Returns when a value with this timeout in seconds expires; None means never."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return FOREVER if timeout is None else timezone.now() + timedelta(seconds=float(timeout))
