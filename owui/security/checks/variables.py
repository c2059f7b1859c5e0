"""6.8, too: variables that do not do what the operator thinks they do."""

from __future__ import annotations

import difflib

from django.utils.translation import gettext_lazy as _

from owui import env
from owui.config import store
from owui.config.registry import all_settings
from owui.security.registry import Finding, all_checks, check, ok, warn

# Beginnings that are only ever meant for this program.
_OURS = ("ENABLE_", "BYPASS_", "USER_PERMISSIONS_", "WEBUI_", "OAUTH_", "JWT_", "CORS_", "DEFAULT_USER_", "RAG_")
# Read by `env.raw` in places that declare no setting.
_READ_ELSEWHERE = {
    *("RESET_CONFIG_ON_START", "ENABLE_OAUTH_PERSISTENT_CONFIG", "OPENAI_API_BASE_URL", "OPENAI_API_KEY"),
    *("OLLAMA_BASE_URL", "OLLAMA_API_BASE_URL", "ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS"),
    *("RAG_EMBEDDING_MODEL_TRUST_REMOTE_CODE", "RAG_RERANKING_MODEL_TRUST_REMOTE_CODE"),
}
_SHOWN = 12


@check(
    "6.8.j",
    _("Variables that are set hold"),
    repair=_("Run `manage.py config reset KEY` where the variable should win, or remove the variable."),
    names=("ENABLE_PERSISTENT_CONFIG",),
)
def drift() -> Finding:
    differences = store.differences()
    if not differences:
        return ok(_("No stored setting contradicts a variable that is set."))
    names = ", ".join(difference.key for difference in differences[:_SHOWN])
    return warn(
        _("For %(count)d settings the stored value holds, not the variable: %(names)s.")
        % {"count": len(differences), "names": names}
    )


@check(
    "6.8.l",
    _("Variables are spelled as this release knows them"),
    repair=_("Correct the name, or remove the variable: it has no effect, and nobody should rely on it."),
    beyond=True,
)
def unknown_variables() -> Finding:
    known = known_variables()
    strange = sorted(name for name in env.names() if name.startswith(_OURS) and name not in known)
    if not strange:
        return ok(_("Every variable with a name of ours is read."))
    return warn(
        _("%(count)d variables have no effect in this release: %(names)s.")
        % {"count": len(strange), "names": ", ".join(_with_guess(name, known) for name in strange[:_SHOWN])}
    )


def known_variables() -> set[str]:
    """All names that are read by some part of this release."""
    from_settings = {name for setting in all_settings() for name in setting.names}
    # What makes up one stored object (permissions) is named by the checks' apps.
    from_checks = {name for found in all_checks() for name in found.names if name.startswith("USER_PERMISSIONS_")}
    return from_settings | from_checks | env.boot_names() | _READ_ELSEWHERE | set(_extra)


_extra: list[str] = []


def knows(*names: str) -> None:
    """Tells that an app reads these variables although no setting declares them."""
    _extra.extend(names)


def _with_guess(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
    return f"{name} ({_('is it %(name)s?') % {'name': close[0]}})" if close else name
