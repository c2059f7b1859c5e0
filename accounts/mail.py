"""What people get by mail."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts import reset_links
from accounts.languages import speaking_to
from accounts.models import User
from owui.config.sections import UiConfig

log = logging.getLogger(__name__)


class TryLater(Exception):
    """The mail server did not take it, and may in a while."""


def is_configured() -> bool:
    """Whether there is a mail server, and an address of our own to write into a link."""
    return bool(settings.BOOT.email_host and UiConfig.load().url)


def send_reset(email: str) -> bool:
    """Writes to whoever has this address here, if anybody, how to choose a new password.

    :returns: whether the mail server took it
    :raises TryLater: it did not answer, or asked to wait
    """
    user = User.objects.filter(email=email).first()
    if user is None or not reset_links.may_reset(user):
        return False
    name = settings.BOOT.webui_name
    context = {"link": reset_links.address(reset_links.token_for(user)), "site_name": name, "name": user.name}
    with speaking_to(user):
        text = render_to_string("accounts/mail_reset.txt", context)
        message = EmailMessage(_("Your password for %(name)s") % {"name": name}, text, to=[user.email])
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        log.warning("the mail server refuses the address of %s (%s)", user.pk, code)
        if 400 <= code < 500:
            raise TryLater from error
        return False
    except (OSError, smtplib.SMTPException) as error:
        # Not its text: some servers repeat what they were sent.
        log.error("the mail server could not be used: %s", type(error).__name__)
        raise TryLater from error
    return True
