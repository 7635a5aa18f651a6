"""Encrypts the seeds of second factors and the contents of sessions, and replaces session keys by digests of cookies.

Signed-in users stay signed in: their cookies do not change. It works row by row, and can be interrupted and repeated.
The reverse decrypts the seeds; it ends all sessions, because a cookie cannot be computed from its digest.
"""

from django.core import signing
from django.db import connection, migrations

from accounts.encrypted_columns import SECOND_FACTORS
from accounts.sessions import COOKIE_LENGTH, key_of_cookie, session_context
from chatapi.encryption.cipher import encrypt
from chatapi.encryption.columns import decrypt_to_plain_text, encrypt_plain_text

PORTION = 500


def forwards(apps, schema_editor):
    for column in SECOND_FACTORS:
        encrypt_plain_text(column)
    # allauth's list first: it is recognized by the cookie that django_session still has
    for table in ("usersessions_usersession", "django_session"):
        while convert_portion(table):
            pass


def convert_portion(table):
    """Converts up to PORTION sessions; returns whether there may be more. A cookie has 32 characters, a digest 40."""
    content = "session_data" if table == "django_session" else "''"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT session_key, {content} FROM {table} WHERE length(session_key) <= %s LIMIT %s",
            [COOKIE_LENGTH, PORTION],
        )
        found = cursor.fetchall()
        for cookie, signed in found:
            key = key_of_cookie(cookie)
            if table != "django_session":
                cursor.execute(f"UPDATE {table} SET session_key = %s WHERE session_key = %s", [key, cookie])
                continue
            try:
                plain = read_signed(signed)
            except Exception:  # noqa: BLE001 - as Django does: unreadable content is no session
                cursor.execute("DELETE FROM django_session WHERE session_key = %s", [cookie])
                continue
            cursor.execute(
                "UPDATE django_session SET session_key = %s, session_data = %s WHERE session_key = %s",
                [key, encrypt(plain, session_context(key)), cookie],
            )
    return len(found) == PORTION


def read_signed(signed):
    """Returns the content as JSON. 0.1.0 used Django's own store."""

    class AsText:
        def loads(self, data):
            return data.decode("latin-1")

    return signing.loads(signed, salt="django.contrib.sessions.SessionStore", serializer=AsText)


def backwards(apps, schema_editor):
    for column in SECOND_FACTORS:
        decrypt_to_plain_text(column)
    apps.get_model("sessions", "Session").objects.all().delete()
    apps.get_model("usersessions", "UserSession").objects.all().delete()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("accounts", "0010_shared_counts"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("sessions", "0001_initial"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(forwards, backwards),
    ]
