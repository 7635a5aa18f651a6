"""Encrypted columns of packages' tables: the seeds of second factors (allauth), and the contents of sessions."""

from chatapi.encryption.columns import EncryptedColumn, plain_column

# allauth encrypts and decrypts the text alone, so a seed is bound to its column, but not to its row.
SEED_CONTEXT = "mfa_authenticator.data"


def seed_column(name: str) -> EncryptedColumn:
    """Returns the seed `name` of the JSON in Authenticator.data; rows of another type have none."""
    return EncryptedColumn(
        label=f"mfa.Authenticator.{name}",
        table="mfa_authenticator",
        key="id",
        bound_to="",
        context=SEED_CONTEXT,
        read=f"(data ->> '{name}')",
        write=f"data = jsonb_set(data, '{{{name}}}', to_jsonb(%s::text))",
    )


SECOND_FACTORS = [seed_column("secret"), seed_column("seed")]
SESSIONS = plain_column(
    "sessions.Session.session_data", "django_session", "session_key", "session_data", "session_key"
)
