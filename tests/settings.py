"""The product's settings with a DATA_DIR of their own that is thrown away, and nothing of the developer's environment.

Processes that a test starts inherit TEST_DATA_DIR, and so share its database; what runs as the real product
(tests/product.py) takes chatapi.settings and a DATA_DIR of its own. Each worker of pytest-xdist has one of its own.
"""

import os
import tempfile

for name in (
    "DATABASE_URL", "DATABASE_POOLER_URL", "DATABASE_REPLICA_URL",
    "EMAIL_URL", "SECRET_KEY", "SECRETS_KEY", "SITE_URL", "PORT", "HOST", "DEBUG", "LOG_LEVEL", "LOG_FORMAT",
    "METRICS_TOKEN", "SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT", "SIGNUP",
    "ALLOWED_HOSTS", "HOOKS_ALLOW_NETWORKS", "HOOKS_DISPATCHERS", "HOOKS_WINDOW", "HOOKS_CA_FILE", "TRIAL_DAYS",
    "RECEIVERS", "SENDERS", "API_RATE", "OUTPUT_IP", "DEFAULT_FROM_EMAIL", "SUPPORT_EMAIL", "STAFF_NEEDS_TOTP",
    "STAFF_SESSION_HOURS", "WEB_PROCESSES",
    "SANDBOX_OVER_HTTP", "SANDBOX_MESSENGER_URL", "WHATSAPP_URL", "TELEGRAM_URL", "STREAMS_HOST",
    "WAHA_SERVERS",
    "REQUEST_MAX_BYTES", "RUN_AS_USER", "TRUSTED_PROXIES",
    *(f"MEDIA_S3_{name}" for name in ("BUCKET", "ENDPOINT", "REGION", "PREFIX", "ACCESS_KEY", "SECRET_KEY")),
):  # fmt: skip
    os.environ.pop(name, None)
    os.environ.pop(f"{name}_FILE", None)

worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # inherited by processes that a test starts
if "TEST_DATA_DIR" not in os.environ or os.environ.get("TEST_DATA_WORKER", "") != worker:
    os.environ["TEST_DATA_WORKER"] = worker
    os.environ["TEST_DATA_DIR"] = tempfile.mkdtemp(prefix="chatapi-test-")
    os.environ["TEST_DATA_OWNER"] = str(os.getpid())
os.environ["DATA_DIR"] = os.environ["TEST_DATA_DIR"]

from chatapi.runtime.postgres.discovery import NAME as SUPERUSER  # noqa: E402
from chatapi.settings import *  # noqa: E402, F403 - the environment must be clean before

STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405 - whitenoise warns of a missing one
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "media": MEDIA_STORAGE,  # noqa: F405
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    },  # nothing is collected
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real ones are slow on purpose
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DISK_MIN_FREE_BYTES = DISK_MIN_FREE_PERCENT = 0  # whatever is free on the disk of the developer
INSTANCES_EXPIRE = True  # as on a server: tests of trials and payments need it
# Tests create databases, which the application's role may not.
DATABASES["default"]["USER"] = SUPERUSER  # noqa: F405
