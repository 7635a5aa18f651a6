"""Changes to a bin are in the audit log: responses configured, links created and revoked, captures deleted."""

from datetime import timedelta

import pytest

from accounts.models import AuditEntry
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.models import Bin
from testing_tools.verification.responses import ConfiguredResponse
from tests.factories import AccountFactory, InstanceFactory

pytestmark = pytest.mark.django_db


def entries():
    return [
        (one.actor_text, one.action, one.subject_kind, one.detail)
        for one in AuditEntry.objects.filter(action__startswith="bin.").order_by("pk")
    ]


def test_changes_to_an_instances_bin_are_logged_with_the_instance():
    instance = InstanceFactory(owner=AccountFactory(email="alice@example.org"))
    alice, bin = instance.owner.owner, bin_actions.open_bin(instance)
    capture_actions.capture(bin.key, method="POST", body=b"private")
    bin_actions.set_response(bin, response=ConfiguredResponse(status=503), acting_user=alice)
    made, url = shares.share(bin, valid_for=timedelta(hours=1), acting_user=alice)
    shares.revoke(made, acting_user=alice)
    shares.revoke(made, acting_user=alice)
    at, _ = capture_actions.delete(bin, captures=bin.captures.all(), acting_user=alice)
    capture_actions.delete(bin, captures=bin.captures.all(), acting_user=alice)
    capture_actions.restore(bin, at=at, acting_user=alice)
    assert entries() == [
        ("alice@example.org", "bin.answer", "instance", {"answer": "503 immediately"}),
        ("alice@example.org", "bin.shared", "instance", {"lasts": "1h", "number": None}),
        ("alice@example.org", "bin.share_revoked", "instance", {"number": None}),
        ("alice@example.org", "bin.captures_deleted", "instance", {"requests": 1}),
        ("alice@example.org", "bin.captures_restored", "instance", {"requests": 1}),
    ]
    kept = str(list(AuditEntry.objects.values()))
    assert url.rpartition("/shared/")[2].strip("/") not in kept
    assert "private" not in kept


def test_changes_to_an_own_bin_are_logged_with_the_account():
    account = AccountFactory(email="alice@example.org")
    bin_actions.set_response(
        bin_actions.open_own_bin(account), response=ConfiguredResponse(), acting_user=account.owner
    )
    [entry] = AuditEntry.objects.filter(action="bin.answer")
    assert (entry.account, entry.subject_kind, entry.subject_text) == (account, "bin", "My bin")


def test_a_bin_that_two_requests_delete_is_logged_once():
    bin = bin_actions.open_bin(InstanceFactory())
    same = Bin.objects.get(pk=bin.pk)
    for one in (bin, same):
        bin_actions.delete_bin(one, acting_user=None)
    assert [action for _, action, _, _ in entries()] == ["bin.deleted"]
