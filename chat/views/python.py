"""Python of an answer is run by the reader's browser: the empty page in which that happens.

The page comes from this server, but a browser treats it as a stranger (`sandbox` without `allow-same-origin`), and its
policy lets it load the files of Pyodide, each named, and nothing else: no other address of ours, none of others.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from accounts.web import signed_in
from chat.views.artifacts import sandboxed
from owui.config.sections import CodeExecutionConfig
from owui.lib import packaged
from owui.lib.errors import Missing

_FILES = ("main", "module", "program", "library", "lock")


def seconds_to_run() -> int:
    """How long a program may take; 0 where none can be run in the browser."""
    config = CodeExecutionConfig.load()
    is_on = config.enable and config.engine == "pyodide" and packaged.url_of("flet_web")
    return config.jupyter_timeout if is_on else 0


@require_GET
@signed_in
@xframe_options_sameorigin
def python_room(request: HttpRequest) -> HttpResponse:
    """An empty page that runs the one program it is told to."""
    if not seconds_to_run():
        raise Missing(_("Programs cannot be run here."))
    files = dict(zip(_FILES, packaged.urls_of("flet_web"), strict=True))
    whole = {name: request.build_absolute_uri(url) for name, url in files.items()}
    own = [request.build_absolute_uri(static(f"owui/python-{name}.js")) for name in ("room", "worker")]
    policy = (
        f"default-src 'none'; script-src {' '.join([*own, whole['main'], whole['module']])} 'wasm-unsafe-eval'; "
        f"worker-src blob:; connect-src {whole['program']} {whole['library']} {whole['lock']}; "
        "form-action 'none'; base-uri 'none'"
    )
    return sandboxed(render(request, "chat/python_room.html", {"files": files}), policy)
