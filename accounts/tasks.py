"""What outlives a request."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from accounts import mail, tokens


@shared_task(  # type: ignore[untyped-decorator]
    name="accounts.send_reset_mail", bind=True, max_retries=6, ignore_result=True
)
def send_reset_mail(self: Any, email: str) -> None:
    """A mail server that is away for minutes gets it later; the link is made when it goes out."""
    try:
        mail.send_reset(email)
    except mail.TryLater as error:
        raise self.retry(exc=error, countdown=5 * 2**self.request.retries) from error


@shared_task(name="accounts.prune_sessions", ignore_result=True)  # type: ignore[untyped-decorator]
def prune_sessions() -> int:
    return tokens.prune_sessions()
