"""A site with django-webhook and Celery, configured as its authors advise, in its own virtual environment.

`python -m tests.bench.django_webhook_site fill URL COUNT` creates the tables and queues COUNT tasks for 100 webhooks.
`celery -A tests.bench.django_webhook_site worker` then delivers them. It reads PEER_DATABASE (a socket's folder) and
PEER_REDIS (a URL) from the environment.
"""

import json
import os
import sys

import django
from celery import Celery
from django.conf import settings
from django.db import connections

app = Celery("peer", broker=os.environ["PEER_REDIS"])
app.conf.task_ignore_result = True
app.conf.worker_hijack_root_logger = False
app.set_default()  # before django.setup(): django-webhook uses the app that is set when it is imported

settings.configure(
    SECRET_KEY="bench",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_webhook"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "peer",
            "USER": "chatapi",
            "HOST": os.environ["PEER_DATABASE"],
            "CONN_MAX_AGE": 600,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DJANGO_WEBHOOK={"MODELS": ["auth.User"], "STORE_EVENTS": True},
    USE_TZ=True,
)
django.setup()
connections.close_all()  # django-webhook queries the database when it is imported; the workers are forked later


def fill(url: str, count: int) -> None:
    from django.core.management import call_command
    from django_webhook.models import Webhook, WebhookSecret
    from django_webhook.tasks import fire_webhook

    call_command("migrate", verbosity=0)
    hooks = [Webhook.objects.create(url=f"{url}/{number}") for number in range(100)]
    for hook in hooks:
        WebhookSecret.objects.create(webhook=hook, token="a secret of the bench")
    text = json.dumps({"messages": [{"body": "x" * 450}], "instanceId": "1"})
    for number in range(count):
        fire_webhook.delay(hooks[number % 100].pk, text, topic="auth.User/create", object_type="auth.User")


if __name__ == "__main__" and sys.argv[1] == "fill":
    fill(sys.argv[2], int(sys.argv[3]))
