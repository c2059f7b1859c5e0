"""6.5 Images: nothing of this can be seen from inside a process."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from owui.security.registry import declared

declared(
    "6.5.a",
    _("Images are pinned by tag or digest"),
    found=_("This process cannot see which image it was started from."),
    repair=_("Name digests (or exact tags, never latest) in the deployment's files and declare the change record."),
)
declared(
    "6.5.b",
    _("A bill of materials and a signature exist"),
    found=_("This process cannot see what was delivered with its image."),
    repair=_("Check the SBOM and signature of the release (for example with cosign) and declare it."),
)
