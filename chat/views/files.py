"""Files dropped on the composer."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.web import signed_in
from knowledge.services import add_document
from owui.lib.errors import UserError
from rbac.permissions import require


@require_POST
@signed_in
def file_create(request: HttpRequest) -> HttpResponse:
    """One file; answers with its chip. It is read and indexed in the background like any document."""
    user: Any = request.user
    require(user, "chat.file_upload", status=403)
    upload = request.FILES.get("file")
    if upload is None:
        raise UserError(_("No file arrived. Choose it again."))
    document = add_document(
        file=cast(BinaryIO, upload), filename=upload.name or "", content_type=upload.content_type or "", by=user
    )
    return render(request, "chat/_file_chip.html", {"file": {"id": document.pk, "name": document.filename}})
