"""`manage.py invite EMAIL`: prints a link with which this address can create an account, and mails it."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from accounts.actions.members import INVITATION_VALID_FOR
from accounts.actions.registration import CannotInvite, invite_to_sign_up
from accounts.email_addresses import normal_address
from accounts.invitation_links import mail_sign_up_link, sign_up_link


class Command(BaseCommand):
    help = "Prints a link with which an e-mail address can create an account; mails it if EMAIL_URL is set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the address that the account will have")

    def handle(self, *args: Any, **options: Any) -> None:
        email = normal_address(options["email"])
        try:
            validate_email(email)
            token = invite_to_sign_up(email, acting_user=None)
        except ValidationError:
            raise CommandError(f"{options['email']} is not an e-mail address.") from None
        except CannotInvite as reason:
            raise CommandError(str(reason)) from None
        link = sign_up_link(token)
        self.stdout.write(link)
        if mail_sign_up_link(email, link):
            self.stderr.write(f"The link was sent to {email}.")
        elif settings.EMAIL_URL:
            self.stderr.write(f"The mail could not be sent. Give the link to {email} yourself.")
        self.stderr.write(f"It works for {INVITATION_VALID_FOR.days} days, and for this address only.")
