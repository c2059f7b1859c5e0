"""6.6 Functions: code that came from outside."""

from __future__ import annotations

from django.apps import apps
from django.utils.translation import gettext_lazy as _

from owui import env
from owui.security.registry import Finding, check, fail, not_applicable, ok, unknown, warn

_REMOTE_CODE = ("RAG_EMBEDDING_MODEL_TRUST_REMOTE_CODE", "RAG_RERANKING_MODEL_TRUST_REMOTE_CODE")


@check(
    "6.6.a",
    _("A prompt-injection filter is installed where functions run"),
    repair=_("Install a filter function against prompt injection for all models, and declare it."),
    names=("ENABLE_FUNCTIONS",),
    declarable=True,
)
def injection_filter() -> Finding:
    if not _functions_exist():
        return not_applicable(_("This release runs no functions in the server."))
    return unknown(_("Whether a filter works against prompt injection cannot be told from here."))


def _functions_exist() -> bool:
    return any(model._meta.model_name == "function" for model in apps.get_models())


@check(
    "6.6.b",
    _("Plugins install no packages"),
    repair=_("Set ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS=False."),
    names=("ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS",),
)
def pip_install() -> Finding:
    if env.truth(env.raw("ENABLE_PIP_INSTALL_FRONTMATTER_REQUIREMENTS")):
        if _functions_exist():
            return fail(_("Plugins may install packages from the internet."))
        return warn(_("It is switched on; this release has no plugins, but a later one would install packages."))
    return ok(_("Packages named by plugins are not installed."))


@check(
    "6.6.d",
    _("Code of model repositories is not run"),
    repair=_("Set both variables to False or remove them."),
    names=_REMOTE_CODE,
    beyond=True,
)
def remote_code() -> Finding:
    if trusted := [name for name in _REMOTE_CODE if env.truth(env.raw(name))]:
        return fail(_("Code of model repositories is trusted: %(names)s.") % {"names": ", ".join(trusted)})
    return ok(_("Code of model repositories is not trusted."))
