"""The scope that each REST call needs, by the name of its URL and its method. A call that is not listed is refused.

`read` reads, without secrets. `send` makes messages and hooks go out, or has a contact of the sandbox write. `manage`
changes what an account has; it adds endpoints, which get every message, so it also fetches hooks (`chatapi listen`).
"""

import re
from typing import Any

from accounts.models import Scope

READ, SEND, MANAGE = Scope.READ, Scope.SEND, Scope.MANAGE

SCOPES: dict[str, dict[str, Scope]] = {
    "account": {"GET": READ},
    "keys": {"GET": MANAGE, "POST": MANAGE},
    "key": {"GET": MANAGE},
    "key-rotate": {"POST": MANAGE},
    "key-revoke": {"POST": MANAGE},
    "members": {"GET": MANAGE},
    "member": {"PATCH": MANAGE, "DELETE": MANAGE},
    "alert-webhook": {"GET": MANAGE, "PUT": MANAGE, "DELETE": MANAGE},
    "alert-webhook-rotate-secret": {"POST": MANAGE},
    "alert-webhook-test": {"POST": MANAGE},
    "alert-webhook-alerts": {"GET": MANAGE},
    "channels": {"GET": READ},
    "instances": {"GET": READ, "POST": MANAGE},
    "instance": {"GET": READ, "PATCH": MANAGE, "DELETE": MANAGE},
    "link": {"GET": READ, "PUT": MANAGE, "DELETE": MANAGE},
    "pairing-code": {"POST": MANAGE},
    "endpoints": {"GET": READ, "POST": MANAGE},
    "endpoint": {"GET": READ, "PATCH": MANAGE, "DELETE": MANAGE},
    "endpoint-pause": {"POST": MANAGE},
    "endpoint-resume": {"POST": MANAGE},
    "endpoint-rotate-secret": {"POST": MANAGE},
    "endpoint-test": {"POST": SEND},
    "endpoint-health": {"GET": READ},
    "endpoint-statistics": {"GET": READ},
    "account-statistics": {"GET": READ},
    "statistics": {"GET": READ},
    "listeners": {"POST": MANAGE},
    "listener": {"DELETE": MANAGE},
    "listener-take": {"POST": MANAGE},
    "listener-results": {"POST": MANAGE},
    "rotate-secret": {"POST": MANAGE},
    "delivery": {"GET": READ},
    "delivery-pause": {"POST": MANAGE},
    "delivery-resume": {"POST": MANAGE},
    "queue": {"GET": READ},
    "queue-messages": {"GET": READ},
    "queue-failed": {"GET": READ},
    "queue-clear": {"POST": MANAGE},
    "message-tries": {"GET": READ},
    "message-cancel": {"POST": SEND},
    "message-resend": {"POST": SEND},
    "message-turn": {"GET": READ},
    "message": {"GET": READ},
    "received": {"GET": READ},
    "sandbox-messages": {"POST": SEND},
    "sandbox-calls": {"POST": SEND},
    "sandbox-receipts": {"POST": SEND},
    "sandbox-phone": {"GET": READ, "PATCH": SEND, "POST": SEND},
    "sandbox-phone-messages": {"POST": SEND},
    "sandbox-contacts": {"GET": READ},
    "sandbox-contact": {"GET": READ, "PUT": SEND, "PATCH": SEND},
    "sandbox-groups": {"GET": READ, "POST": SEND},
    "sandbox-group": {"GET": READ, "PATCH": SEND},
    "sandbox-chat": {"GET": READ},
    "sandbox-chat-messages": {"GET": READ},
    "sandbox-reset": {"POST": MANAGE},
    "hooks": {"GET": READ},
    "hook": {"GET": READ},
    "hook-resend": {"POST": SEND},
    "hook-try-now": {"POST": SEND},
    "hook-skip": {"POST": MANAGE},
    "hook-cancel": {"POST": MANAGE},
    "hook-shares": {"GET": READ, "POST": MANAGE},
    "hook-share": {"DELETE": MANAGE},
    "issues": {"GET": READ},
    "issue": {"GET": READ},
    "issue-acknowledge": {"POST": MANAGE},
    "issue-resend": {"POST": SEND},
    "redeliveries": {"GET": READ, "POST": SEND},
    "redelivery": {"GET": READ},
    "redelivery-pause": {"POST": SEND},
    "redelivery-resume": {"POST": SEND},
    "redelivery-cancel": {"POST": SEND},
    "bins": {"GET": READ, "POST": MANAGE},
    "bin": {"GET": READ, "PATCH": MANAGE, "DELETE": MANAGE},
    "bin-captures": {"GET": READ},
    "bin-captures-next": {"GET": READ},
    "bin-captures-clear": {"POST": MANAGE},
    "bin-captures-forward": {"POST": SEND},
    "bin-captures-restore": {"POST": MANAGE},
    "bin-capture": {"GET": READ, "PATCH": MANAGE, "DELETE": MANAGE},
    "bin-capture-replay": {"POST": SEND},
    "bin-shares": {"GET": READ, "POST": MANAGE},
    "bin-share": {"DELETE": MANAGE},
    "verification": {"GET": READ},
    "verification-start": {"POST": MANAGE},
    "verification-stop": {"POST": MANAGE},
    "simulation-kinds": {"GET": READ},
    "simulations": {"POST": SEND},
    "simulation-runs": {"POST": SEND},
    "simulation-run": {"GET": READ},
    "simulation-run-step": {"POST": SEND},
    "simulation-run-cancel": {"POST": SEND},
}


def describe_scopes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: says the scope of each operation, before the contract's are added."""
    from chatapi.rest_urls import ROUTES  # it imports the views, whose settings name this module

    for route, _view, name in ROUTES:
        path = "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route) + "/"
        for method, scope in SCOPES[name].items():
            operation = result["paths"][path][method.lower()]
            operation["x-required-scope"] = scope.value
            description = operation.get("description", "")
            operation["description"] = f"{description}\n\nNeeds the scope `{scope}`.".strip()
    return result
