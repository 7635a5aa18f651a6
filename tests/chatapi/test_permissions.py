"""Requests every URL of the site as every kind of visitor; the table below has the expected status codes.

A new URL without a row fails the suite. A row is `name method` and six status codes; a method without a row must get
405. The requested objects are Alice's. The visitors have accounts and instances of their own. In the REST API
(instances-api) they authenticate with the key of their own account, elsewhere with a session.

302 redirects to sign-in if the user is signed out, and otherwise means success; 404: the object belongs to another
account; 403: a viewer may not change it, or a manager may not do what only the owner may do.
"""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from tests.chatapi.permissions import ADDRESSES, VISITORS, World
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

TABLE = """
#                                            method anonymous stranger viewer manager owner staff
instances:list                               GET    302 200 200 200 200 200
instances:new                                GET    302 200 200 200 200 200
instances:new                                POST   302 200 200 200 200 200
instances:detail                             GET    302 404 200 200 200 404
instances:status                             GET    302 404 200 200 200 404
instances:link                               POST   302 404 403 302 302 404
instances:rename                             POST   302 404 403 302 302 404
instances:address                            POST   302 404 403 302 302 404
instances:token                              POST   302 404 403 302 302 404
instances:secret                             POST   302 404 403 302 302 404
instances:secret-end                         POST   302 404 403 302 302 404
instances:endpoints                          GET    302 404 200 200 200 404
instances:endpoints                          POST   302 404 403 200 200 404
instances:endpoint                           GET    302 404 200 200 200 404
instances:endpoint-save                      POST   302 404 403 200 200 404
instances:endpoint-filters                   POST   302 404 403 302 302 404
instances:endpoint-filters-check             POST   302 404 403 200 200 404
instances:endpoint-test                      POST   302 404 403 200 200 404
instances:endpoint-pause                     POST   302 404 403 302 302 404
instances:endpoint-resume                    POST   302 404 403 302 302 404
instances:endpoint-secret                    POST   302 404 403 302 302 404
instances:endpoint-secret-end                POST   302 404 403 302 302 404
instances:endpoint-remove                    POST   302 404 403 302 302 404
instances:turn-on-acks                       POST   302 404 403 302 302 404
instances:retry-callbacks                    POST   302 404 403 302 302 404
instances:pause                              POST   302 404 403 302 302 404
instances:resume                             POST   302 404 403 302 302 404
instances:delete                             POST   302 404 403 403 200 404
instances:setup                              GET    302 404 200 200 200 404
instances:channel                            POST   302 404 403 302 302 404
instances:account                            POST   302 404 403 404 404 404
instances:account-check                      POST   302 404 403 404 404 404
instances:account-remove                     POST   302 404 403 404 404 404
instances:pair                               POST   302 404 403 404 404 404
instances:press                              POST   302 404 403 302 302 404
instances:history                            GET    302 404 200 200 200 404
instances:history-news                       GET    302 404 204 204 204 404
instances:settings                           GET    302 404 200 200 200 404
instances:settings                           POST   302 404 403 302 302 404
instances:messages                           GET    302 404 200 200 200 404
instances:chat-list                          GET    302 404 200 200 200 404
instances:chat                               GET    302 404 200 200 200 404
instances:chat-news                          GET    302 404 200 200 200 404
instances:chat-reply                         POST   302 404 403 422 422 404
instances:chat-read                          POST   302 404 403 302 302 404
instances:received                           GET    302 404 200 200 200 404
instances:turn                               GET    302 404 200 200 200 404
instances:queue                              GET    302 404 200 200 200 404
instances:queue-clear                        POST   302 404 403 302 302 404
instances:message                            GET    302 404 200 200 200 404
instances:message-cancel                     POST   302 404 403 302 302 404
instances:message-resend                     POST   302 404 403 302 302 404
instances:address-check                      POST   302 404 403 200 200 404
instances:address-test                       POST   302 404 403 200 200 404
testing:bin-capture                 GET    302 404 200 200 200 404
testing:bin-body                    GET    302 404 200 200 200 404
testing:bin-part                    GET    302 404 404 404 404 404
testing:bin-compare                 GET    302 404 200 200 200 404
testing:bin-note                    POST   302 404 403 302 302 404
testing:bin-delete                  POST   302 404 403 302 302 404
testing:bin-replay                  GET    302 404 403 200 200 404
testing:bin-replay                  POST   302 404 403 422 422 404
testing:bin-signature               POST   302 404 200 200 200 404
testing:bin-page                     GET    302 404 200 200 200 404
testing:bin-news                    GET    302 404 200 200 200 404
testing:bin-export                  GET    302 404 200 200 200 404
testing:bin-response                GET    302 404 403 200 200 404
testing:bin-response                POST   302 404 403 422 422 404
testing:bin-delete-all              POST   302 404 403 302 302 404
testing:bin-undo                    POST   302 404 403 302 302 404
testing:bin-forward                 GET    302 404 403 200 200 404
testing:bin-forward                 POST   302 404 403 422 422 404
testing:bin-share                   GET    302 404 403 200 200 404
testing:bin-share                   POST   302 404 403 200 200 404
testing:bin-revoke                  POST   302 404 403 404 404 404
testing:chooser                              GET    302 200 200 200 200 200
testing:simulation                           GET    302 404 200 200 200 404
testing:simulation-choose                    POST   302 404 200 200 200 404
testing:simulation-json                      POST   302 404 200 200 200 404
testing:simulation-fields                    POST   302 404 200 200 200 404
testing:simulation-url                       POST   302 404 200 200 200 404
testing:simulation-send                      POST   302 404 403 200 200 404
testing:simulation-again                     POST   302 404 403 200 200 404
testing:simulation-run                       POST   302 404 403 200 200 404
testing:simulation-run-cancel                POST   302 404 403 200 200 404
testing:verification                         GET    302 404 200 200 200 404
testing:verification-start                   POST   302 404 403 302 302 404
testing:verification-stop                    POST   302 404 403 302 302 404
testing:verification-message                 POST   302 404 403 302 302 404
testing:verification-checklist               GET    302 404 200 200 200 404
testing:bin-mine                    GET    302 302 302 302 302 302
testing:sending                              GET    302 404 200 200 200 404
testing:sending-sent                         GET    302 404 200 200 200 404
testing:sending-send                         POST   302 404 403 200 200 404
testing:sending-clear                        POST   302 404 403 302 302 404
testing:phone                                GET    302 404 200 200 200 404
testing:playground                           GET    302 404 200 200 200 404
testing:playground-news                      GET    302 404 200 200 200 404
testing:phone-news                           GET    302 404 200 200 200 404
testing:phone-own                            POST   302 404 403 302 302 404
testing:phone-type                           POST   302 404 403 302 302 404
testing:phone-read-here                      POST   302 404 403 302 302 404
testing:phone-reset                          POST   302 404 403 302 302 404
testing:phone-contact                        POST   302 404 403 302 302 404
testing:phone-write                          POST   302 404 403 302 302 404
testing:phone-read-there                     POST   302 404 403 302 302 404
testing:phone-contacts                       POST   302 404 403 302 302 404
testing:phone-group                          POST   302 404 403 302 302 404
statistics:overview                          GET    302 404 200 200 200 404
search                                       GET    302 200 200 200 200 200
log:list                                     GET    302 404 200 200 200 404
log:live                                     GET    302 404 200 200 200 404
log:overview                                 GET    302 404 200 200 200 404
log:counts                                   GET    302 404 200 200 200 404
log:export                                   GET    302 404 200 200 200 404
log:redeliver                                GET    302 404 403 200 200 404
log:redeliver                                POST   302 404 403 302 302 404
log:redeliver-chosen                         POST   302 404 403 302 302 404
log:redeliveries                             GET    302 404 200 200 200 404
log:redelivery                               GET    302 404 200 200 200 404
log:redelivery-pause                         POST   302 404 403 302 302 404
log:redelivery-resume                        POST   302 404 403 302 302 404
log:redelivery-cancel                        POST   302 404 403 302 302 404
log:hook                                     GET    302 404 200 200 200 404
log:compare                                  GET    302 404 404 404 404 404
log:try-now                                  POST   302 404 403 302 302 404
log:resend                                   POST   302 404 403 302 302 404
log:skip                                     POST   302 404 403 302 302 404
log:cancel                                   POST   302 404 403 302 302 404
log:use-url                                  POST   302 404 403 302 302 404
log:turn-on                                  POST   302 404 403 302 302 404
log:share                                    GET    302 404 403 200 200 404
log:share                                    POST   302 404 403 200 200 404
log:share-revoke                             POST   302 404 403 404 404 404
issues:list                                  GET    302 404 200 200 200 404
issues:issue                                 GET    302 404 200 200 200 404
issues:acknowledge                           POST   302 404 403 302 302 404
issues:resend                                POST   302 404 403 302 302 404
accounts:account                             GET    302 200 200 200 200 200
accounts:rename                              POST   302 302 302 302 302 302
accounts:time-zone                           POST   302 302 302 302 302 302
accounts:first-steps                         POST   302 302 302 302 302 302
accounts:keys                                GET    302 200 200 200 200 200
accounts:keys                                POST   302 422 422 422 422 422
accounts:key-rotate                          POST   302 404 404 404 302 404
accounts:key-revoke                          POST   302 404 404 404 302 404
accounts:members                             GET    302 200 200 200 200 200
accounts:members                             POST   302 200 200 200 200 200
accounts:member-role                         POST   302 404 404 404 400 404
accounts:member-remove                       POST   302 404 404 404 302 404
accounts:member-leave                        POST   302 404 302 404 404 404
accounts:invitation-revoke                   POST   302 404 404 404 302 404
accounts:invitation                          GET    200 200 200 200 200 200
accounts:invitation-accept                   POST   302 302 302 302 302 302
accounts:first-administrator                 GET    302 302 302 302 302 302
accounts:first-administrator                 POST   302 302 302 302 302 302
accounts:audit-log                           GET    302 200 200 200 200 200
account-alerts:alerts                        GET    302 200 200 200 200 200
account-alerts:alerts                        POST   302 422 422 422 422 422
account-alerts:test                          POST   302 404 404 404 302 404
account-alerts:rotate-secret                 POST   302 404 404 404 302 404
account-alerts:end-secret                    POST   302 404 404 404 302 404
account-alerts:remove                        POST   302 404 404 404 302 404
account-export                               GET    302 200 200 200 200 200
account-delete                               GET    302 200 200 200 200 200
account-delete                               POST   302 200 200 200 200 200
account_login                                GET    200 302 302 302 302 302
account_login                                POST   200 302 302 302 302 302
account_logout                               GET    302 200 200 200 200 200
account_logout                               POST   302 302 302 302 302 302
account_inactive                             GET    200 200 200 200 200 200
account_signup                               GET    200 302 302 302 302 302
account_signup                               POST   200 302 302 302 302 302
account_reauthenticate                       GET    302 200 200 200 200 200
account_reauthenticate                       POST   302 200 200 200 200 200
account_request_reauthentication_code        GET    302 403 403 403 403 403
account_request_reauthentication_code        POST   302 403 403 403 403 403
account_confirm_reauthentication_code        GET    302 403 403 403 403 403
account_confirm_reauthentication_code        POST   302 403 403 403 403 403
account_email                                GET    302 200 200 200 200 200
account_email                                POST   302 302 302 302 302 302
account_email_verification_sent              GET    200 200 200 200 200 200
account_change_password                      GET    302 200 200 200 200 200
account_change_password                      POST   302 200 200 200 200 200
account_set_password                         GET    302 302 302 302 302 302
account_set_password                         POST   302 302 302 302 302 302
account_reset_password                       GET    200 200 200 200 200 200
account_reset_password                       POST   200 200 200 200 200 200
account_confirm_login_code                   GET    302 302 302 302 302 302
account_confirm_login_code                   POST   302 302 302 302 302 302
account_confirm_email                        GET    200 200 200 200 200 200
account_confirm_email                        POST   404 404 404 404 404 404
account_reset_password_from_key_done         GET    200 200 200 200 200 200
account_reset_password_from_key              GET    200 200 200 200 200 200
account_reset_password_from_key              POST   200 200 200 200 200 200
account_reset_password_done                  GET    200 200 200 200 200 200
mfa_view_recovery_codes                      GET    302 404 404 404 404 404
mfa_generate_recovery_codes                  GET    302 200 200 200 200 200
mfa_generate_recovery_codes                  POST   302 200 200 200 200 200
mfa_download_recovery_codes                  GET    302 404 404 404 404 404
mfa_download_recovery_codes                  POST   302 404 404 404 404 404
mfa_activate_totp                            GET    302 200 200 200 200 200
mfa_activate_totp                            POST   302 200 200 200 200 200
mfa_deactivate_totp                          GET    302 404 404 404 404 404
mfa_deactivate_totp                          POST   302 404 404 404 404 404
mfa_index                                    GET    302 200 200 200 200 200
mfa_authenticate                             GET    302 302 302 302 302 302
mfa_authenticate                             POST   302 302 302 302 302 302
mfa_reauthenticate                           GET    302 302 302 302 302 302
mfa_reauthenticate                           POST   302 302 302 302 302 302
usersessions_list                            GET    302 200 200 200 200 200
usersessions_list                            POST   302 302 302 302 302 302
shared-hook                                  GET    404 404 404 404 404 404
shared:bin                                   GET    404 404 404 404 404 404
shared:capture                               GET    404 404 404 404 404 404
shared:body                                  GET    404 404 404 404 404 404
shared:part                                  GET    404 404 404 404 404 404
instances-api:account                        GET    401 200 200 200 200 200
instances-api:instances                      GET    401 200 200 200 200 200
instances-api:instances                      POST   401 201 201 201 201 201
instances-api:instance                       GET    401 404 404 404 200 404
instances-api:instance                       PATCH  401 404 404 404 200 404
instances-api:instance                       DELETE 401 404 404 404 204 404
instances-api:channels                       GET    401 200 200 200 200 200
instances-api:alert-webhook                  GET    401 404 404 404 200 404
instances-api:alert-webhook                  PUT    401 400 400 400 400 400
instances-api:alert-webhook                  DELETE 401 404 404 404 204 404
instances-api:alert-webhook-rotate-secret    POST   401 404 404 404 200 404
instances-api:alert-webhook-test             POST   401 404 404 404 200 404
instances-api:alert-webhook-alerts           GET    401 404 404 404 200 404
instances-api:keys                           GET    401 200 200 200 200 200
instances-api:keys                           POST   401 400 400 400 400 400
instances-api:key                            GET    401 404 404 404 200 404
instances-api:key-rotate                     POST   401 404 404 404 201 404
instances-api:key-revoke                     POST   401 404 404 404 200 404
instances-api:members                        GET    401 200 200 200 200 200
instances-api:member                         PATCH  401 404 404 404 400 404
instances-api:member                         DELETE 401 404 404 404 204 404
instances-api:link                           GET    401 404 404 404 200 404
instances-api:link                           PUT    401 404 404 404 409 404
instances-api:link                           DELETE 401 404 404 404 409 404
instances-api:pairing-code                   POST   401 404 404 404 400 404
instances-api:rotate-secret                  POST   401 404 404 404 200 404
instances-api:endpoints                      GET    401 404 404 404 200 404
instances-api:endpoints                      POST   401 404 404 404 400 404
instances-api:endpoint                       GET    401 404 404 404 200 404
instances-api:endpoint                       PATCH  401 404 404 404 200 404
instances-api:endpoint                       DELETE 401 404 404 404 409 404
instances-api:endpoint-pause                 POST   401 404 404 404 200 404
instances-api:endpoint-resume                POST   401 404 404 404 200 404
instances-api:endpoint-rotate-secret         POST   401 404 404 404 200 404
instances-api:endpoint-test                  POST   401 404 404 404 200 404
instances-api:endpoint-health                GET    401 404 404 404 200 404
instances-api:endpoint-statistics            GET    401 404 404 404 200 404
instances-api:account-statistics             GET    401 200 200 200 200 200
instances-api:statistics                     GET    401 404 404 404 200 404
instances-api:listeners                      POST   401 404 404 404 400 404
instances-api:listener                       DELETE 401 404 404 404 404 404
instances-api:listener-take                  POST   401 404 404 404 404 404
instances-api:listener-results               POST   401 404 404 404 404 404
instances-api:queue                          GET    401 404 404 404 200 404
instances-api:queue-messages                 GET    401 404 404 404 200 404
instances-api:queue-failed                   GET    401 404 404 404 200 404
instances-api:queue-clear                    POST   401 404 404 404 200 404
instances-api:message                        GET    401 404 404 404 200 404
instances-api:message-turn                   GET    401 404 404 404 200 404
instances-api:received                       GET    401 404 404 404 200 404
instances-api:message-tries                  GET    401 404 404 404 200 404
instances-api:message-cancel                 POST   401 404 404 404 409 404
instances-api:message-resend                 POST   401 404 404 404 200 404
instances-api:delivery                       GET    401 404 404 404 200 404
instances-api:delivery-pause                 POST   401 404 404 404 200 404
instances-api:delivery-resume                POST   401 404 404 404 200 404
instances-api:sandbox-messages               POST   401 404 404 404 400 404
instances-api:sandbox-receipts               POST   401 404 404 404 400 404
instances-api:sandbox-phone                  GET    401 404 404 404 200 404
instances-api:sandbox-phone                  POST   401 404 404 404 400 404
instances-api:sandbox-phone                  PATCH  401 404 404 404 400 404
instances-api:hooks                          GET    401 200 200 200 200 200
instances-api:hook                           GET    401 404 404 404 200 404
instances-api:hook-resend                    POST   401 404 404 404 200 404
instances-api:hook-try-now                   POST   401 404 404 404 409 404
instances-api:hook-skip                      POST   401 404 404 404 409 404
instances-api:hook-cancel                    POST   401 404 404 404 409 404
instances-api:hook-shares                    GET    401 404 404 404 200 404
instances-api:hook-shares                    POST   401 404 404 404 201 404
instances-api:hook-share                     DELETE 401 404 404 404 404 404
instances-api:issues                         GET    401 200 200 200 200 200
instances-api:issue                          GET    401 404 404 404 200 404
instances-api:issue-acknowledge              POST   401 404 404 404 200 404
instances-api:issue-resend                   POST   401 404 404 404 409 404
instances-api:redeliveries                   GET    401 200 200 200 200 200
instances-api:redeliveries                   POST   401 400 400 400 400 400
instances-api:redelivery                     GET    401 404 404 404 200 404
instances-api:redelivery-pause               POST   401 404 404 404 200 404
instances-api:redelivery-resume              POST   401 404 404 404 409 404
instances-api:redelivery-cancel              POST   401 404 404 404 200 404
instances-api:sandbox-calls                  POST   401 404 404 404 400 404
instances-api:sandbox-phone-messages         POST   401 404 404 404 400 404
instances-api:sandbox-contacts               GET    401 404 404 404 200 404
instances-api:sandbox-contact                GET    401 404 404 404 200 404
instances-api:sandbox-contact                PUT    401 404 404 404 200 404
instances-api:sandbox-contact                PATCH  401 404 404 404 200 404
instances-api:sandbox-groups                 GET    401 404 404 404 200 404
instances-api:sandbox-groups                 POST   401 404 404 404 400 404
instances-api:sandbox-group                  GET    401 404 404 404 200 404
instances-api:sandbox-group                  PATCH  401 404 404 404 400 404
instances-api:sandbox-chat                   GET    401 404 404 404 200 404
instances-api:sandbox-chat-messages          GET    401 404 404 404 200 404
instances-api:sandbox-reset                  POST   401 404 404 404 200 404
instances-api:bins                           GET    401 200 200 200 200 200
instances-api:bins                           POST   401 201 201 201 201 201
instances-api:bin                            GET    401 404 404 404 200 404
instances-api:bin                            PATCH  401 404 404 404 200 404
instances-api:bin                            DELETE 401 404 404 404 204 404
instances-api:bin-captures                   GET    401 404 404 404 200 404
instances-api:bin-captures-next              GET    401 404 404 404 200 404
instances-api:bin-captures-clear             POST   401 404 404 404 200 404
instances-api:bin-captures-restore           POST   401 404 404 404 400 404
instances-api:bin-captures-forward           POST   401 404 404 404 400 404
instances-api:bin-capture                    GET    401 404 404 404 200 404
instances-api:bin-capture                    PATCH  401 404 404 404 400 404
instances-api:bin-capture                    DELETE 401 404 404 404 200 404
instances-api:bin-capture-replay             POST   401 404 404 404 400 404
instances-api:bin-shares                     GET    401 404 404 404 200 404
instances-api:bin-shares                     POST   401 404 404 404 201 404
instances-api:bin-share                      DELETE 401 404 404 404 404 404
instances-api:verification                   GET    401 404 404 404 200 404
instances-api:verification-start             POST   401 404 404 404 200 404
instances-api:verification-stop              POST   401 404 404 404 200 404
instances-api:simulation-kinds               GET    401 200 200 200 200 200
instances-api:simulations                    POST   401 404 404 404 400 404
instances-api:simulation-runs                POST   401 404 404 404 400 404
instances-api:simulation-run                 GET    401 404 404 404 200 404
instances-api:simulation-run-step            POST   401 404 404 404 200 404
instances-api:simulation-run-cancel          POST   401 404 404 404 200 404
api-schema                                   GET    200 200 200 200 200 200
api-try                                      GET    200 200 200 200 200 200
docs:contract                                GET    200 200 200 200 200 200
docs:rest                                    GET    200 200 200 200 200 200
docs:receivers                               GET    200 200 200 200 200 200
docs:receiver                                GET    200 200 200 200 200 200
channels:callback                            GET    404 404 404 404 404 404
channels:callback                            POST   404 404 404 404 404 404
bin                                          GET    200 200 200 200 200 200
bin                                          POST   200 200 200 200 200 200
home                                         GET    302 302 302 302 302 302
invitation                                   GET    404 404 404 404 404 404
media                                        GET    404 404 404 404 404 404
healthz                                      GET    200 200 200 200 200 200
healthz                                      POST   200 200 200 200 200 200
front                                        GET    404 404 404 404 404 404
front                                        POST   404 404 404 404 404 404
readyz                                       GET    503 503 503 503 503 503
readyz                                       POST   503 503 503 503 503 503
listen-program                               GET    200 200 200 200 200 200
favicon                                      GET    200 200 200 200 200 200
metrics                                      GET    200 200 200 200 200 200
contract-by-query                            GET    401 401 401 401 401 401
contract-by-query                            POST   401 401 401 401 401 401
contract-setting-by-query                    GET    401 401 401 401 401 401
contract-setting-by-query                    POST   401 401 401 401 401 401
contract                                     GET    401 401 401 401 401 401
contract                                     POST   401 401 401 401 401 401
"""
ROWS = {
    tuple(line.split()[:2]): " ".join(line.split()[2:])
    for line in TABLE.strip().splitlines()
    if line and not line.startswith("#")
}
METHODS = ("GET", "POST")
REST_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def unhurried(settings: Settings) -> None:
    """Six visitors from one address are more than allauth lets in a minute."""
    settings.ACCOUNT_RATE_LIMITS = False


def of_the_site() -> list[str]:
    """All but the staff desk, which has its own test below and its own tests by group."""
    return [name for name in ADDRESSES if not name.startswith("admin:")]


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    named = {name for name, _ in ROWS}

    missing, gone = set(of_the_site()) - named, named - set(of_the_site())
    assert not missing, f"Give them rows in TABLE, one for each method they take: {sorted(missing)}"
    assert not gone, f"These rows lead nowhere: {sorted(gone)}"


@pytest.mark.timeout(600)  # each URL, verb and visitor: a minute on an idle machine
def test_everybody_gets_what_the_table_says() -> None:
    world = World()

    found = {row: " ".join(world.answer(*row, visitor) for visitor in VISITORS) for row in ROWS}  # type: ignore[call-arg]
    assert [f"{name} {method} {got}" for (name, method), got in found.items()] == [
        f"{name} {method} {wanted}" for (name, method), wanted in ROWS.items()
    ]


def test_a_method_without_a_row_is_refused() -> None:
    world = World()

    taken = []
    for name in of_the_site():
        for method in REST_METHODS if name.startswith("instances-api:") else METHODS:
            if (name, method) not in ROWS and world.answer(name, method, "owner") != "405":
                taken.append(f"{name} {method}")
    assert taken == []


@pytest.mark.timeout(600)  # a page is rendered for each address
def test_the_staff_desk_lets_nobody_else_in() -> None:
    client = Client()
    client.force_login(UserFactory(email="bob@example.org"))

    admitted = []
    for name, arguments in ADDRESSES.items():
        if not name.startswith("admin:"):
            continue
        known = {"app_label": "hooks", "public_id": UUID(int=1)}
        address = reverse(name, kwargs={argument: known.get(argument, 1) for argument in arguments})
        for visitor in (Client(), client):
            answer = visitor.get(address)
            is_hidden = (
                answer.status_code in (302, 405) if visitor is not client else answer.status_code == 404
            )
            if not is_hidden:  # strangers are asked to sign in; for customers there is no such page
                admitted.append(f"{name}: {answer.status_code}")
    assert admitted == []
