"""REST: every app's routers at the field's paths, one set of error answers."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Swagger
from ninja.errors import ValidationError

from accounts.api.administration import router as auths_admin
from accounts.api.auths import router as auths
from accounts.api.directory import router as directory
from accounts.api.keys import router as keys
from accounts.api.mfa import router as mfa
from accounts.api.oauth import admin_router as oauth_admin
from accounts.api.oauth import router as oauth
from accounts.api.preferences import router as preferences
from accounts.api.scim import router as scim
from accounts.api.sessions import router as sessions
from accounts.api.users import router as users
from chat.api.chats import router as chats
from chat.api.completions import router as completions
from chat.api.evaluations import router as evaluations
from chat.api.folders import router as folders
from chat.api.links import router as links
from chat.api.messages import router as messages
from chat.api.notes import router as notes
from chat.api.organising import router as organising
from chat.api.prompts import router as prompts
from chat.api.task_model import router as task_model
from chat.api.tasks import router as tasks
from inference.api.models import listing as model_listing
from inference.api.models import router as models
from inference.api.ollama import router as ollama
from inference.api.openai import router as openai
from inference.api.servers import configs as server_configs
from inference.api.servers import terminals
from inference.api.skills import router as skills
from inference.api.tools import router as tools
from knowledge.api.files import router as files
from knowledge.api.knowledge import router as knowledge
from knowledge.api.retrieval import router as retrieval
from owui import health
from owui.config.api import router as configs
from owui.lib.errors import UserError, outage_text, reference, too_big_text, unstorable_text
from owui.lib.rest import Renderer
from rbac.api import router as groups
from rbac.api_previews import groups as group_previews
from rbac.api_previews import users as user_previews

log = logging.getLogger(__name__)

api = NinjaAPI(
    title="owui",
    version="0.1.0",
    docs=Swagger(settings={"persistAuthorization": True}),
    docs_url="/api/docs",
    openapi_url="/api/openapi.json",
    renderer=Renderer(),
)
api.add_router("", health.router)
api.add_router("/api/v1/auths/admin", auths_admin)
api.add_router("/api/v1/auths/mfa", mfa)
api.add_router("/api/v1/auths/api_keys", keys)
api.add_router("/api/v1/auths/admin", oauth_admin)
api.add_router("/api/v1/auths", auths)
api.add_router("/api/v1/auths", directory)
api.add_router("/api/v1/auths", sessions)
api.add_router("/api/v1/scim/v2", scim)
api.add_router("/api/v1/auths/oauth", oauth)
api.add_router("/api/v1/users/user", preferences)
api.add_router("/api/v1/users", users)
api.add_router("/api/v1/groups", groups)
api.add_router("/api/v1/users", user_previews)
api.add_router("/api/v1/groups", group_previews)
api.add_router("/api/v1/tasks", task_model)
api.add_router("/api/v1/evaluations", evaluations)
api.add_router("/api/v1/models", models)
# Before the chats themselves: its names would be taken for ids.
api.add_router("/api/v1/chats", organising)
api.add_router("/api/v1/chats", links)
api.add_router("/api/v1/chats", messages)
api.add_router("/api/v1/chats", chats)
api.add_router("/api/v1/files", files)
api.add_router("/api/v1/knowledge", knowledge)
api.add_router("/api/v1/retrieval", retrieval)
api.add_router("/api/v1/configs", configs)
api.add_router("/api/v1/configs", server_configs)
api.add_router("/api/v1/terminals", terminals)
api.add_router("/api/v1/tools", tools)
api.add_router("/api/v1/skills", skills)
api.add_router("/api/v1/prompts", prompts)
api.add_router("/api/v1/notes", notes)
api.add_router("/api/v1/folders", folders)
api.add_router("/api/tasks", tasks)
# The OpenAI client works with base_url=.../api, .../api/v1, .../openai, .../v1.
for prefix in ("/api", "/api/v1", "/v1"):
    api.add_router(prefix, completions, url_name_prefix=prefix.strip("/").replace("/", "-"))
    api.add_router(prefix, model_listing, url_name_prefix=prefix.strip("/").replace("/", "-"))
api.add_router("/openai", openai)
api.add_router("/ollama", ollama)


@api.exception_handler(UserError)
def user_error(request: HttpRequest, error: UserError) -> HttpResponse:
    response = api.create_response(request, {"detail": error.message, **error.more()}, status=error.status)
    for name, value in error.headers().items():
        response[name] = value
    return response


@api.exception_handler(ValidationError)
def validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """422 with the field named. What was sent is not repeated: it may hold a password."""
    detail = [
        {
            "loc": [part for part in item["loc"] if part not in ("form", "payload")],
            "msg": item["msg"],
            "type": item["type"],
        }
        for item in error.errors
    ]
    return api.create_response(request, {"detail": detail}, status=422)


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def outage(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("%s %s: %s", request.method, request.path, error)
    return api.create_response(request, {"detail": outage_text()}, status=503)


@api.exception_handler(RequestDataTooBig)
def too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    return api.create_response(request, {"detail": too_big_text()}, status=413)


@api.exception_handler(DataError)
def unstorable(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("%s %s: %s", request.method, request.path, error)
    return api.create_response(request, {"detail": unstorable_text()}, status=400)


@api.exception_handler(UnicodeEncodeError)
def unencodable(request: HttpRequest, error: Exception) -> HttpResponse:
    """Half of a surrogate pair, which JSON can write and nothing can store, hash or send on."""
    return api.create_response(request, {"detail": unstorable_text()}, status=400)


@api.exception_handler(Exception)
def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    """A bug: the log has everything, the caller a reference."""
    ref = reference()
    log.error("reference %s: %s %s", ref, request.method, request.path, exc_info=error)
    body: dict[str, Any] = {
        "detail": f"Something went wrong on the server. Tell your administrator this reference: {ref}"
    }
    return api.create_response(request, body, status=500)
