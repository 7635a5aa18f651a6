"""Deletes an account with everything in it.

Only for the owner, who must have confirmed the password within five minutes (accounts/reauthentication.py).
"""

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.actions.deletion import delete_account, delete_admin_log
from accounts.current_user import current_user
from accounts.forms import DeleteAccountForm
from accounts.models import Account, User
from accounts.reauthentication import password_required
from accounts.views.account import own_account
from instances.actions import media
from instances.actions.lifecycle import delete_instance
from instances.models import Instance, StoredFile
from instances.receiving.unlinking import ending_links
from testing_tools.verification.models import Bin


@transaction.atomic
def delete_everything(account: Account, *, acting_user: User) -> None:
    """Delete the account with its instances and what names them.

    Tasks delete the hooks and files of the instances, in small transactions.
    """
    # No new instance may be created meanwhile (quotas lock the account), and these are locked before the instances by
    # those who add a file or store a request.
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    list(StoredFile.objects.filter(account=account).order_by("pk").select_for_update().values_list("pk"))
    list(Bin.objects.filter(account=account).select_for_update().values_list("pk"))
    instances = Instance.objects.of_account(account).order_by("pk")
    delete_admin_log(instances)
    for instance in instances:
        delete_instance(instance, acting_user=acting_user)
    delete_account(account, acting_user=acting_user)
    media.schedule_drop()


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@password_required
@never_cache
def delete(request: HttpRequest) -> HttpResponse:
    """Shows what will be deleted. A POST with the owner's e-mail address deletes it and signs the owner out."""
    own = own_account(request)
    form = DeleteAccountForm(request.POST or None, user=own.owner)
    if request.method == "POST" and form.is_valid():
        with ending_links(*Instance.objects.of_account(own), acting_user=None) as notice:
            delete_everything(own, acting_user=current_user(request))
        logout(request)
        messages.success(request, "Your account and everything in it is deleted.")
        if notice.text:
            messages.warning(request, notice.text)
        return redirect("account_login")
    instances = Instance.objects.of_account(own)
    context = {
        "account": own,
        "form": form,
        "instances": instances.count(),
        "members": own.members.count(),
        "payments": own.payments.count(),
    }
    return render(request, "chatapi/account_data/deletion.html", context)
