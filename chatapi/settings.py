"""All settings, from the environment, in this one file; docs/settings.md lists them.

Every variable may also be given as X_FILE, the path of a file that holds the value (for secrets).
A wrong value does not raise an exception here: it is added to SETTINGS_ERRORS, and
chatapi/runtime/doctor/settings_values.py reports it as a system check with an id and a hint.
"""

import os
import re
import secrets
from email.utils import parseaddr
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_email_url
from environs import Env, EnvError, FileAwareEnv

from chatapi import __version__
from chatapi.database.url import connection_options, database_settings, replica_options
from chatapi.monitoring.logging_config import REQUEST_LEVELS, logging_config
from chatapi.runtime.client_address import is_loopback
from chatapi.runtime.postgres.server import embedded_database
from chatapi.ui.host_names import to_a_labels

BASE_DIR = Path(__file__).resolve().parent.parent  # the clone, or the folder of an environment's packages
IS_WHEEL = (BASE_DIR / "chatapi" / "files").is_dir()
FILES_DIR = BASE_DIR / "chatapi" / "files" if IS_WHEEL else BASE_DIR  # templates, static files, documents
VERSION = __version__

env: Env = FileAwareEnv(strip_whitespace=True)  # without the newline at the end of a secret's file
SETTINGS_ERRORS: list[tuple[str, str]] = []


def read(parse: Any, name: str, default: Any, **options: Any) -> Any:
    """Returns the variable's value; if it is wrong, returns the default and adds the fault to SETTINGS_ERRORS."""
    try:
        return parse(name, default, **options)
    except (EnvError, ValueError, OSError) as error:
        SETTINGS_ERRORS.append((name, str(error)))
        return default


def read_database(name: str, url: str) -> dict[str, Any]:
    """Returns the parts of a database's URL for DATABASES; none if it is wrong, which is added to SETTINGS_ERRORS."""
    try:
        return database_settings(url)
    except ValueError:
        SETTINGS_ERRORS.append((name, "use postgresql://user:password@host:5432/database"))
        return {}


def default_data_dir() -> Path:
    """Returns `var` in a clone; for an installed wheel, the folder for the data of a service or a user."""
    if not IS_WHEEL:
        return BASE_DIR / "var"
    if os.getuid() == 0:
        return Path("/var/lib/chatapi")
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "chatapi"


DEFAULT_DATA_DIR = str(default_data_dir())
# Everything that must survive a restart: database, secret key, demo login, media. Without symbolic links, because a
# running PostgreSQL is recognised by the path of its data.
DATA_DIR = Path(os.path.realpath(Path(read(env.str, "DATA_DIR", DEFAULT_DATA_DIR)).expanduser()))
PORT = read(env.int, "PORT", 8000)
# Below either of them, files and large captures are refused, so that the database continues to work.
DISK_MIN_FREE_BYTES = read(env.int, "DISK_MIN_FREE_BYTES", 2 * 1024**3)
DISK_MIN_FREE_PERCENT = read(env.int, "DISK_MIN_FREE_PERCENT", 10)
# The default is right behind a proxy on the same machine; 0.0.0.0 opens the port to the network.
HOST = read(env.str, "HOST", "127.0.0.1")
# Networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Behind a HOST that only this machine
# can reach, the proxy is on it.
TRUSTED_PROXIES = read(env.list, "TRUSTED_PROXIES", ["127.0.0.0/8", "::1/128"] if is_loopback(HOST) else [])
# The user to run as when root starts the product; empty: DATA_DIR/pg's owner, or `chatapi` (runtime/unprivileged.py)
RUN_AS_USER = read(env.str, "RUN_AS_USER", "")
WEB_PROCESSES = read(env.int, "WEB_PROCESSES", 1)
# a form with a file of 64 MiB, and 6 MiB for the rest
REQUEST_MAX_BYTES = read(env.int, "REQUEST_MAX_BYTES", 70 * 1024 * 1024)
SITE_URL = read(env.str, "SITE_URL", f"http://localhost:{PORT}").rstrip("/")
DEBUG = read(env.bool, "DEBUG", False)
HTTPS = SITE_URL.startswith("https://")
try:
    SITE_HOST = urlsplit(SITE_URL).hostname or "localhost"
except ValueError:  # the system check of SITE_URL reports it
    SITE_HOST = "localhost"


def with_a_labels(sender: str) -> str:
    """Returns `Name <address>` with the domain in A-labels. Django would encode it by IDNA 2003: another domain."""
    name, address = parseaddr(sender)
    local, _, domain = address.rpartition("@")
    try:
        return sender if sender.isascii() else f"{name} <{local}@{to_a_labels(domain)}>".lstrip()
    except ValueError as error:
        SETTINGS_ERRORS.append(("DEFAULT_FROM_EMAIL", str(error)))
        return sender


def created_file(name: str) -> str:
    """Returns the content of DATA_DIR/`name`: a random key that the first start creates (mode 600)."""
    path = DATA_DIR / name
    try:
        if not path.exists():
            DATA_DIR.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{name}.{os.getpid()}.{secrets.token_hex(4)}")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(50))
            try:
                os.link(draft, path)  # atomic: two simultaneous first starts use the same key
            except FileExistsError:
                pass
            draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        fault = ("DATA_DIR", f"the secret key in it can be neither read nor created: {error.strerror}")
        if fault not in SETTINGS_ERRORS:
            SETTINGS_ERRORS.append(fault)
        return secrets.token_urlsafe(50)


def secret_key() -> str:
    """Returns SECRET_KEY, or the key that the first start created in DATA_DIR."""
    return str(read(env.str, "SECRET_KEY", "")) or created_file("secret_key")


def secrets_keys() -> tuple[str, ...]:
    """Returns the keys of SECRETS_KEY, newest first, or those in the file that the first start created in DATA_DIR."""
    given = read(env.str, "SECRETS_KEY", "") or created_file("secrets_key")
    return tuple(re.split(r"[\s,]+", given.strip(" \t\r\n,")))


SECRET_KEY = secret_key()
# Encrypts the secrets in the database (chatapi/encryption): with the first key; decrypts them: with any of the keys.
SECRETS_KEY = secrets_keys()


def host_pattern(host: str) -> str:
    """Returns a host as Django compares it: in A-labels, and IPv6 in brackets."""
    host = host.strip().rstrip(".").lower()
    try:
        return f"[{IPv6Address(host)}]"
    except ValueError:
        return host if host.isascii() else to_a_labels(host)


def allowed_hosts() -> list[str]:
    """Returns the host names to which pages respond: SITE_URL's, this machine's, and those of ALLOWED_HOSTS."""
    found = []
    for variable, hosts in (
        ("SITE_URL", [SITE_HOST]),
        ("ALLOWED_HOSTS", read(env.list, "ALLOWED_HOSTS", [])),
    ):
        for host in hosts:
            try:
                found.append(host_pattern(host))
            except ValueError as error:
                SETTINGS_ERRORS.append((variable, str(error)))
    return list(dict.fromkeys([*found, "localhost", "127.0.0.1", "[::1]"]))


# The wire contract, bins and REST respond to every name (chatapi/hosts.py); links are always built from SITE_URL.
ALLOWED_HOSTS = allowed_hosts()
CSRF_TRUSTED_ORIGINS = [SITE_URL]
CSRF_FAILURE_VIEW = "chatapi.error_pages.csrf_failed"

INSTALLED_APPS = [
    "chatapi",
    "chatapi.ui",
    "accounts",
    "hooks",
    "instances",
    "testing_tools",
    "chatapi.staff.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_q",
    "django_htmx",
    "django_filters",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_structlog",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "chatapi.middleware.resource_policies",
    "chatapi.program_requests.ProgramRequests",  # those below are for pages, files and bins
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "chatapi.middleware.CompressedPages",
    "chatapi.middleware.responses_not_stored",
    "chatapi.middleware.content_security_policy",
    "chatapi.error_pages.ShortErrors",
    "chatapi.hosts.known_hosts_only",
    "chatapi.error_pages.UnreadableSecrets",
    "chatapi.error_pages.DeletedMeanwhile",
    "accounts.sessions.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "chatapi.staff.sessions.end_old_staff_sessions",
    "chatapi.staff.impersonation.impersonate",
    "chatapi.own_changes.own_changes",
    "accounts.blocking.blocked_accounts",
    "accounts.time_zones.user_time_zone",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.conflicts.RepeatAfterConflict",
    "accounts.reauthentication.AskForPassword",
    "django_htmx.middleware.HtmxMiddleware",
    "chatapi.monitoring.request_log.RequestLog",
]
APPEND_SLASH = False  # a redirected POST loses its body (contract.md, section 1)

ROOT_URLCONF = "chatapi.urls"
WSGI_APPLICATION = "chatapi.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [FILES_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "chatapi.ui.frame.frame",
                "instances.pages.frame.instance_frame",
            ],
        },
    },
]

# -- database: DATABASE_URL, or the embedded PostgreSQL in DATA_DIR/pg
DATABASE_URL = read(env.str, "DATABASE_URL", "")
EMBEDDED_POSTGRES = not DATABASE_URL
DATABASES: dict[str, dict[str, Any]] = {"default": {"ENGINE": "chatapi.database"}}
if EMBEDDED_POSTGRES:
    DATABASES["default"] |= embedded_database(DATA_DIR / "pg")
else:
    DATABASES["default"] |= read_database("DATABASE_URL", DATABASE_URL)
# Persistent connections: django-q2 runs 30 to 70 tasks/s with CONN_MAX_AGE 0 and 84 to 550 with 600 (measured).
# No "pool": it breaks across django-q2's fork.
DATABASES["default"] |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
DATABASES["default"]["OPTIONS"] = connection_options(DATABASES["default"].get("OPTIONS", {}))
# The same database through a pooler that may pool by transaction, for web processes (database/pooler.py).
DATABASE_POOLER_URL = read(env.str, "DATABASE_POOLER_URL", "")
POOLED_DATABASE = read_database("DATABASE_POOLER_URL", DATABASE_POOLER_URL) if DATABASE_POOLER_URL else {}
if POOLED_DATABASE:
    POOLED_DATABASE["OPTIONS"] = connection_options(POOLED_DATABASE["OPTIONS"])
if DATABASE_POOLER_URL and EMBEDDED_POSTGRES:
    SETTINGS_ERRORS.append(
        ("DATABASE_POOLER_URL", "it needs DATABASE_URL: PostgreSQL itself, for all others")
    )
# A standby from which pages may read (database/replica.py). Its sessions are read-only even if it is promoted.
DATABASE_REPLICA_URL = read(env.str, "DATABASE_REPLICA_URL", "")
REPLICA_DATABASE = read_database("DATABASE_REPLICA_URL", DATABASE_REPLICA_URL) if DATABASE_REPLICA_URL else {}
if REPLICA_DATABASE:
    REPLICA_DATABASE["OPTIONS"] = replica_options(REPLICA_DATABASE["OPTIONS"])
if DATABASE_REPLICA_URL and EMBEDDED_POSTGRES:
    SETTINGS_ERRORS.append(("DATABASE_REPLICA_URL", "it needs DATABASE_URL: the primary of the replica"))
# Limits count in the cache `default`, so it is shared and forgets nothing. The cluster's own statistics are not.
CACHES = {
    "default": {"BACKEND": "accounts.shared_cache.SharedCache"},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- users, sign-in and mail
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "accounts.backends.PasswordBackend",
    "accounts.backends.EntranceBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
EMAIL_URL = read(env.str, "EMAIL_URL", "")
if EMAIL_URL:
    try:
        mail = env.dj_email_url("EMAIL_URL")
        if (
            urlsplit(EMAIL_URL).scheme not in dj_email_url.SCHEMES
        ):  # an unknown scheme would mean unencrypted SMTP
            raise ValueError
        globals().update({key: value for key, value in mail.items() if key.startswith("EMAIL_")})
        if mail["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
            EMAIL_BACKEND = "chatapi.runtime.waiting_mail.EmailBackend"
    except (EnvError, ValueError):  # their text may contain the password
        SETTINGS_ERRORS.append(("EMAIL_URL", "use submission://user:password@host:587"))
# On a laptop the user of the site reads its terminal. The log of a server has other readers: a printed link to reset a
# password would open the account to them.
MAIL_IS_PRINTED = not EMAIL_URL and EMBEDDED_POSTGRES and not HTTPS
if not EMAIL_URL:
    EMAIL_BACKEND = f"django.core.mail.backends.{'console' if MAIL_IS_PRINTED else 'dummy'}.EmailBackend"
EMAIL_TIMEOUT = (
    globals().get("EMAIL_TIMEOUT") or 20
)  # seconds; a mail server that hangs must not hold a thread
DEFAULT_FROM_EMAIL = with_a_labels(read(env.str, "DEFAULT_FROM_EMAIL", f"Chat API <chatapi@{SITE_HOST}>"))
# To open the support desk. With the embedded database the operator is the user.
STAFF_NEEDS_TOTP = read(env.bool, "STAFF_NEEDS_TOTP", not EMBEDDED_POSTGRES)
STAFF_SESSION_HOURS = read(
    env.int, "STAFF_SESSION_HOURS", 12
)  # after which staff sign in again; others: 2 weeks
SUPPORT_EMAIL = read(env.str, "SUPPORT_EMAIL", "")  # shown to users of a blocked account
# Who may create an account: open (anyone), invited (with an invitation link), closed (no new accounts).
SIGNUP = read(env.str, "SIGNUP", "open" if EMBEDDED_POSTGRES else "invited").lower()
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "signup": "accounts.sign_up_form.SignUpForm",
    "add_email": "accounts.address_form.AddAddressForm",
}
MFA_ADAPTER = "accounts.adapters.SecondFactorAdapter"
# The default quotas of an account; staff can set an account's own (accounts/quotas.py).
QUOTA_INSTANCES = read(env.int, "QUOTA_INSTANCES", 200)
QUOTA_FILE_BYTES = read(env.int, "QUOTA_FILE_BYTES", 10 * 1024**3)
QUOTA_CAPTURE_BYTES = read(env.int, "QUOTA_CAPTURE_BYTES", 512 * 1024**2)
QUOTA_INVITATIONS_PER_DAY = read(env.int, "QUOTA_INVITATIONS_PER_DAY", 100)
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_URL else "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # also to change e-mail addresses; see accounts/reauthentication.py
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300  # seconds
ALLAUTH_TRUSTED_PROXY_COUNT = 0  # REMOTE_ADDR is the client's address already (runtime/client_address.py)
# Per client's IP address (ip), signed-in user (user) and e-mail address (key); several rates all apply. Wrong passwords
# and codes are also counted per account, with growing pauses (accounts/lockouts.py). allauth's other limits are kept.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip",
    "change_password": "5/m/user,30/d/user",
    "reset_password": "20/m/ip,3/15m/key,10/d/key",  # each sends a mail
    "confirm_email": "1/3m/key,10/d/key",  # each sends a mail
    "signup": None,  # counted by accounts/views/sign_up.py, outside its transaction
    "sign_up": "20/m/ip,200/d/ip",
}
MFA_FORMS = {
    "authenticate": "accounts.forms.SecondFactorForm",
    "reauthenticate": "accounts.forms.SecondFactorAgainForm",
}
# Not by a code in a mail: a stolen browser session often includes the mailbox.
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Chat API"
# A code is accepted for 30 s more, for slow typing and clocks that differ (RFC 6238, 5.2); each once.
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = not EMAIL_URL  # without mail an address cannot be verified

# -- background work: a few long tasks (reasons in chatapi/runtime/README.md; see also hooks/tasks.py)
TASK_TIMEOUT = 3600
HOOKS_DISPATCHERS = read(env.int, "HOOKS_DISPATCHERS", 1)
RECEIVERS = read(env.int, "RECEIVERS", 1)
SENDERS = read(env.int, "SENDERS", 1)
LONG_TASKS = HOOKS_DISPATCHERS + SENDERS + RECEIVERS
STANDBY = read(env.bool, "STANDBY", True)
Q_CLUSTER = {
    "name": "chatapi",
    "orm": "default",
    "broker_class": "chatapi.runtime.broker.PatientORM",  # waits while PostgreSQL restarts
    # Each dispatcher, sender and receiver, and a running redelivery occupy a worker for up to an hour; two more run
    # short tasks.
    "workers": LONG_TASKS + 3,
    "queue_limit": LONG_TASKS + 3,  # the ORM broker's retry clock starts at prefetch
    "timeout": TASK_TIMEOUT,
    "retry": TASK_TIMEOUT + 600,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,
    "poll": 0.5,
    "guard_cycle": 1,
    "label": "Background tasks",
    "cache": "process",  # statistics of the cluster, written every second
}
# `manage.py worker` calls these every 2 s. Each queues its long task if it is missing, and returns whether it runs.
WORKER_HEALTH_CHECKS = [
    "hooks.tasks.ensure_dispatchers",
    "instances.tasks.ensure_outgoing",
    "hooks.tasks.ensure_redelivery",
    "instances.receiving.tasks.ensure_receivers",
]
# Name: (function, interval in minutes). The first four repeat the health checks, in case no worker runs them.
SCHEDULES = {
    "dispatchers": ("hooks.tasks.ensure_dispatchers", 1),
    "outgoing queue": ("instances.tasks.ensure_outgoing", 1),
    "redelivery": ("hooks.tasks.ensure_redelivery", 1),
    "receivers": ("instances.receiving.tasks.ensure_receivers", 1),
    "endpoints that fail": ("instances.tasks.pause_failing", 1),
    "issues": ("hooks.maintenance.issues.update", 1),
    "mails about issues": ("instances.maintenance.issue_mails.send", 1),
    "alerts about issues": ("instances.maintenance.alert_webhook.send", 1),
    "load": ("hooks.maintenance.load_samples.record", 1),
    "lost links": ("instances.tasks.mail_lost_links", 1),
    "QR codes": ("instances.tasks.expire_codes", 1),
    "tallies": ("hooks.tallies.add_up", 5),
    "partitions": ("hooks.maintenance.new_days.prepare", 10),
    "old indexes": ("hooks.maintenance.old_indexes.build", 10),
    "old hooks": ("hooks.maintenance.retention.drop_old", 60),
    "hooks of deleted instances": ("hooks.maintenance.deleted_instances.drop", 60),
    "data of deleted instances": ("instances.actions.deleted_data.drop", 60),
    "data of cleaned instances": ("instances.actions.cleaning.clean", 1),
    "cancelled hooks": ("hooks.maintenance.cancelling.cancel", 1),
    "removed endpoints": ("hooks.maintenance.removed_endpoints.clean", 60),
    "old statuses": ("instances.tasks.drop_old_statuses", 60),
    "old tries of messages": ("instances.maintenance.old_tries.drop_old", 60),
    "old callbacks": ("instances.maintenance.old_callbacks.drop_old", 60),
    "old links to hooks": ("instances.actions.hook_shares.delete_ended_shares", 60),
    "old captures": ("testing_tools.verification.actions.captures.delete_expired_captures", 60),
    "old counts": ("accounts.lockouts.delete_expired", 60),
    "old files": ("instances.actions.media.drop_old", 60),
    "expired sessions": ("accounts.actions.sessions.delete_expired", 24 * 60),
}

# The queues of chatapi/runtime/broker.py beside the one named by Q_CLUSTER. A task of any other path waits in that one.
URGENT_QUEUE = "urgent"
URGENT_TASKS = {
    "hooks.tasks.dispatch",
    "hooks.tasks.redeliver",
    "instances.tasks.send_outgoing",
    "instances.receiving.tasks.receive",
    *WORKER_HEALTH_CHECKS,
    "time.time",  # the worker's probe of the queue
}
CLEAN_UP_QUEUE = "clean-up"
CLEAN_UP_TASKS = {
    "hooks.maintenance.retention.drop_old",
    "hooks.maintenance.old_indexes.build",
    "hooks.maintenance.deleted_instances.drop",
    "hooks.maintenance.removed_endpoints.clean",
    "instances.actions.deleted_data.drop",
    "instances.actions.cleaning.clean",
    "instances.actions.media.drop_old",
    "instances.maintenance.old_tries.drop_old",
    "instances.maintenance.old_callbacks.drop_old",
    "instances.tasks.drop_old_statuses",
    "instances.actions.hook_shares.delete_ended_shares",
    "testing_tools.verification.actions.captures.delete_expired_captures",
    "accounts.lockouts.delete_expired",
    "accounts.actions.sessions.delete_expired",
}

# Old and new paths of tasks that an earlier version may have queued (chatapi/runtime/broker.py). Keep entries for two
# versions.
RENAMED_TASKS = {
    "hooks.retention.drop_old": "hooks.maintenance.retention.drop_old",
    "hooks.gone.drop": "hooks.maintenance.deleted_instances.drop",
    "testing_tools.bins.drop_old_captures": "testing_tools.verification.actions.captures.delete_expired_captures",
    "testing_tools.verification.actions.bins.drop_old_captures": (
        "testing_tools.verification.actions.captures.delete_expired_captures"
    ),
}

# -- hooks
HOOKS_DEADLINE_MS = 10_000
HOOKS_CONNECT_MS = 5_000
HOOKS_WINDOW = read(env.int, "HOOKS_WINDOW", 1000)
LAPTOP_NETWORKS = [
    "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
]  # fmt: skip
# A laptop (embedded database, used from this machine alone) may deliver to loopback and private networks. A server may
# not, and a site that others can reach is one.
IS_LAPTOP = EMBEDDED_POSTGRES and not HTTPS and is_loopback(HOST)
HOOKS_ALLOW_NETWORKS = read(env.list, "HOOKS_ALLOW_NETWORKS", None)
PRIVATE_NETWORKS_UNSET = HOOKS_ALLOW_NETWORKS is None  # chatapi/runtime/doctor tells when that refuses them
if HOOKS_ALLOW_NETWORKS is None:
    HOOKS_ALLOW_NETWORKS = LAPTOP_NETWORKS if IS_LAPTOP else []
HOOKS_OWN_BINS = SITE_URL + "/bin/"  # always allowed, whatever IP address the site's name resolves to
HOOKS_CA_FILE = read(env.str, "HOOKS_CA_FILE", "")  # trusted certificates; empty: Mozilla's, from certifi
# Days for which the log keeps hooks with their attempts, the bodies of both, and skipped hooks.
HOOKS_KEEP_DAYS = read(env.int, "HOOKS_KEEP_DAYS", 30)
HOOKS_KEEP_BODIES_DAYS = read(env.int, "HOOKS_KEEP_BODIES_DAYS", 7)
HOOKS_KEEP_SKIPPED_DAYS = read(env.int, "HOOKS_KEEP_SKIPPED_DAYS", 1)
TRIAL_DAYS = read(env.int, "TRIAL_DAYS", 3)
# With the embedded database the operator is the user: there is no trial, and no payment to record.
INSTANCES_EXPIRE = not EMBEDDED_POSTGRES
VERIFICATION_MINUTES = 30

# -- sending: whether the sandbox sends through `manage.py sandbox_messenger`, and where that listens
SANDBOX_OVER_HTTP = read(env.bool, "SANDBOX_OVER_HTTP", False)
WHATSAPP_URL = read(env.str, "WHATSAPP_URL", "https://graph.facebook.com").rstrip("/")
# where receivers take the messages that senders send through their connections (receiving/stream_gateway.py)
STREAMS_HOST = read(env.str, "STREAMS_HOST", "127.0.0.1")
TELEGRAM_URL = read(env.str, "TELEGRAM_URL", "https://api.telegram.org").rstrip("/")
# WAHA servers of this site: URL → API key
WAHA_SERVERS = read(env.dict, "WAHA_SERVERS", {})
SANDBOX_MESSENGER_URL = read(env.str, "SANDBOX_MESSENGER_URL", "http://127.0.0.1:8089").rstrip("/")

# -- files that messages carry: in DATA_DIR/media, or in a bucket of any S3-compatible store
MEDIA_MAX_BYTES = 64 * 1024 * 1024
# Of the decoded file. Base64 makes it a third longer, and the request is held in memory.
MEDIA_DATA_URI_MAX_BYTES = 16 * 1024 * 1024
MEDIA_BODY_MAX_BYTES = (
    MEDIA_DATA_URI_MAX_BYTES * 4 // 3 + 2 * 1024 * 1024
)  # with 2 MiB for the rest and for escapes
if "MEDIA_QUOTA_BYTES" in os.environ:
    SETTINGS_ERRORS.append(("MEDIA_QUOTA_BYTES", "it is now QUOTA_FILE_BYTES, for all files of an account"))
MEDIA_S3_BUCKET = read(env.str, "MEDIA_S3_BUCKET", "")
MEDIA_S3_ENDPOINT = read(env.str, "MEDIA_S3_ENDPOINT", "")
MEDIA_S3_REGION = read(env.str, "MEDIA_S3_REGION", "")
MEDIA_S3_PREFIX = read(env.str, "MEDIA_S3_PREFIX", "")
MEDIA_S3_ACCESS_KEY = read(env.str, "MEDIA_S3_ACCESS_KEY", "")
MEDIA_S3_SECRET_KEY = read(env.str, "MEDIA_S3_SECRET_KEY", "")
MEDIA_STORAGE: dict[str, Any] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {
        "location": DATA_DIR / "media",
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    },
}
if MEDIA_S3_BUCKET:
    from botocore.config import Config as S3Config  # a fifth of a second, for those who need it

    MEDIA_STORAGE = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": MEDIA_S3_BUCKET,
            "endpoint_url": MEDIA_S3_ENDPOINT or None,
            "region_name": MEDIA_S3_REGION or None,
            "location": MEDIA_S3_PREFIX,
            "access_key": MEDIA_S3_ACCESS_KEY or None,  # None: the keys of the machine's role
            "secret_key": MEDIA_S3_SECRET_KEY or None,
            "max_memory_size": 1_000_000,  # bytes of a downloaded file; a longer one is buffered on disk
            # boto3's own are 60 s and five attempts; a request holds a thread of the web server meanwhile
            "client_config": S3Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}),
        },
    }

# -- pages
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "chatapi.formats"
STATIC_URL = "/static/"
STATICFILES_DIRS = [FILES_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "media": MEDIA_STORAGE,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no CDN serves our files, so no other origin loads them
if DEBUG:
    STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"

DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "accounts.sessions"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

API_RATE = read(env.str, "API_RATE", "6000/min")
# One client in a loop makes about 500 calls/s. The limit keeps one instance from occupying the whole site.
CONTRACT_CALLS_PER_MINUTE = read(env.int, "CONTRACT_CALLS_PER_MINUTE", 60_000)
CONTRACT_ACCOUNT_CALLS_PER_MINUTE = read(env.int, "CONTRACT_ACCOUNT_CALLS_PER_MINUTE", 300)
CONTRACT_WRONG_TOKENS_PER_MINUTE = read(env.int, "CONTRACT_WRONG_TOKENS_PER_MINUTE", 60)
BIN_BYTES_PER_MINUTE = read(env.int, "BIN_BYTES_PER_MINUTE", 64 * 1024**2)
BIN_ADDRESS_BYTES_PER_MINUTE = read(env.int, "BIN_ADDRESS_BYTES_PER_MINUTE", 128 * 1024**2)
# returned by `outputIP`; unset: the source address of this machine's outgoing connections
OUTPUT_IP = read(env.str, "OUTPUT_IP", "")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["instances.api.authentication.AccountKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["instances.api.scopes.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "instances.api.negotiation.Negotiation",
    "DEFAULT_PARSER_CLASSES": ["instances.api.parsing.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["instances.api.throttling.AccountThrottle"],
    "DEFAULT_THROTTLE_RATES": {"account": API_RATE},
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "instances.api.errors.handle_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Chat API",
    "DESCRIPTION": (
        "REST API of the account: instances, the sandbox messenger, and the delivery log; "
        "the hooks that endpoints receive; and the wire contract, which clients of the original Chat API speak."
    ),
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    # The validator's badge would be loaded from another site.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "tryItOutEnabled": True},
    "PREPROCESSING_HOOKS": ["instances.api.schema.drop_paths_without_slash"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "instances.api.schema.loosen_bodies_of_several_types",
        "chatapi.rest_scopes.describe_scopes",
        "instances.api.schema.add_errors_of_all",
        "instances.contract.openapi.add_contract",
        "instances.api.webhooks.add_webhooks",
    ],
    "ENUM_NAME_OVERRIDES": {
        "HookState": "hooks.models.State",
        "KeyScope": "accounts.models.Scope",
        "KeyState": "accounts.models.KeyState",
        "MemberRole": "accounts.models.Role",
        "JobState": "hooks.models.JobState",
        "KindEnum": "hooks.models.Kind",
        "SimulatedKind": "testing_tools.simulation.kinds.SimulationKind",
        "CaptureKind": "testing_tools.verification.models.Family",
        "DeliveryPauseReasonEnum": "hooks.models.PauseReason",
        "PhaseEnum": "hooks.models.Phase",
        "SideEnum": "hooks.models.Side",
        "FaultSide": "instances.sending.explain.FaultSide",
        "MessageState": "instances.models.MessageState",
        "TryResult": "instances.models.TryResult",
        "TypeEnum": "instances.models.MessageType",
        "AccountStatus": "instances.models.AccountStatus",
        "ShownAccountStatus": "instances.api.serializers.instances.SHOWN_STATUSES",
    },
}

# /metrics: if unset, only the loopback address has access
METRICS_TOKEN = read(env.str, "METRICS_TOKEN", "")
LOG_LEVEL = read(env.str, "LOG_LEVEL", "INFO").upper()
LOG_FORMAT = read(env.str, "LOG_FORMAT", "text")  # or json: one object per line
OTEL_EXPORTER_OTLP_ENDPOINT = read(
    env.str, "OTEL_EXPORTER_OTLP_ENDPOINT", ""
)  # traces of hooks (hooks/tracing.py)
SENTRY_DSN = read(env.str, "SENTRY_DSN", "")  # errors are also reported there
LOGGING = logging_config(LOG_LEVEL, as_json=LOG_FORMAT == "json", sentry_dsn=SENTRY_DSN)
globals().update(REQUEST_LEVELS)
