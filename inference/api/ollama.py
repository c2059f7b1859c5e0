"""`/ollama`: the Ollama servers in their own protocol, behind the same check as everything else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router

from inference import live as lists
from inference.api.openai import as_allowed, as_permitted, is_stream, laid_over
from inference.api.relay import aadmin, ask, json_body, model_of, relay, right_of
from inference.catalogue import NOT_FOUND, Resolved, models_for, resolve_for
from inference.config import OllamaConfig
from inference.connections import Connection, connection_info, load_setup, options_for
from inference.keys import Kept
from inference.live import live_models
from inference.presets import for_ollama, for_openai
from inference.schemas import OllamaConfigForm, VerifyForm, listed_json, ollama_json
from owui.config.registry import InvalidSetting
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, averified

router = Router(tags=["ollama"])
DISABLED = "The Ollama API is switched off. Ask your administrator."
_CHANGING = ("pull", "create", "copy", "delete")
Operation = Callable[[HttpRequest, int | None], Awaitable[Any]]


def at_each(
    methods: list[str], path: str, *, auth: Any, default: int | None = None
) -> Callable[[Operation], Operation]:
    """An operation with and without the server's place at the end of the path."""

    def register(operation: Operation) -> Operation:
        async def anywhere(request: HttpRequest) -> Any:
            return await operation(request, default)

        async def at(request: HttpRequest, index: int) -> Any:
            return await operation(request, index)

        name = operation.__name__
        for route, view, suffix in ((path, anywhere, ""), (f"{path}/{{int:index}}", at, "_at")):
            router.api_operation(methods, route, auth=auth, operation_id=f"ollama_{name}{suffix}")(view)
        return operation

    return register


@router.api_operation(["GET", "HEAD"], "/", auth=None)
def get_status(request: HttpRequest) -> dict[str, bool]:
    return {"status": True}


@router.get("/config", auth=admin)
def get_config(request: HttpRequest) -> dict[str, Any]:
    config = OllamaConfig.load()
    return {
        "ENABLE_OLLAMA_API": config.enable,
        "OLLAMA_BASE_URLS": config.base_urls,
        "OLLAMA_API_CONFIGS": _kept(config).shown_configs(),
    }


@router.post("/config/update", auth=admin)
def update_config(request: HttpRequest, form: OllamaConfigForm) -> dict[str, Any]:
    urls = [url.strip().rstrip("/") for url in form.OLLAMA_BASE_URLS]
    places = {str(i) for i in range(len(urls))}
    configs = {k: v for k, v in form.OLLAMA_API_CONFIGS.items() if k in places or k in urls}
    sent = _kept(OllamaConfig.load()).taken_back(urls, (), configs)
    changes: dict[str, Any] = {"base_urls": urls, "api_configs": sent.configs}
    if form.ENABLE_OLLAMA_API is not None:
        changes["enable"] = form.ENABLE_OLLAMA_API
    try:
        OllamaConfig.save(by=request.user, **changes)
    except InvalidSetting as error:
        raise UserError(error.message) from error
    return get_config(request)


@router.post("/verify", auth=aadmin)
async def verify(request: HttpRequest, form: VerifyForm) -> dict[str, Any]:
    url = form.url.strip().rstrip("/")
    kept = _kept(await in_thread(OllamaConfig.load)())
    info = connection_info("ollama", url, *kept.for_trial(url, form.key or "", form.config or {}))
    return await ask(info, "GET", "/api/version", user=request.auth)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------ lists
@at_each(["GET"], "/api/tags", auth=averified)
async def list_tags(request: HttpRequest, index: int | None) -> dict[str, Any]:
    await _connections()
    listed = await models_for(request.auth, presets=False)  # type: ignore[attr-defined]
    shown = [m.live for m in listed if m.live.kind == "ollama"]
    return {"models": [ollama_json(m) for m in shown if index is None or any(c.index == index for c in m.connections)]}


@at_each(["GET"], "/v1/models", auth=averified)
async def list_openai_models(request: HttpRequest, index: int | None) -> dict[str, Any]:
    await _connections()
    listed = await models_for(request.auth, records=True, presets=False)  # type: ignore[attr-defined]
    shown = [m for m in listed if m.live.kind == "ollama"]
    if index is not None:
        shown = [m for m in shown if any(c.index == index for c in m.live.connections)]
    return {"object": "list", "data": [listed_json(m) for m in shown]}


@at_each(["GET"], "/api/version", auth=averified)
async def get_version(request: HttpRequest, index: int | None) -> dict[str, Any]:
    answers = await _ask_all(request, "/api/version", index)
    versions = sorted((str(a["version"]) for a in answers if a.get("version")), key=_version_key)
    if not versions:
        raise UserError("No Ollama server answers. Ask your administrator.", status=502, code="upstream")
    return {"version": versions[0]}


@at_each(["GET"], "/api/ps", auth=aadmin)
async def list_loaded(request: HttpRequest, index: int | None) -> dict[str, Any]:
    answers = await _ask_all(request, "/api/ps", index)
    return {"models": [model for answer in answers for model in answer.get("models") or []]}


# ------------------------------------------------------------------------------------------------------- use a model
@at_each(["POST"], "/api/chat", auth=averified)
async def chat(request: HttpRequest, index: int | None) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, model_of(body))
    sent = await laid_over(request, body, resolved, for_ollama)
    right = right_of(request, resolved)
    return await relay(
        _server(resolved, index), "POST", "/api/chat", sent, stream=is_stream(body, default=True), right=right
    )


@at_each(["POST"], "/api/generate", auth=averified)
async def generate(request: HttpRequest, index: int | None) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, model_of(body))
    sent = await laid_over(request, body, resolved, for_ollama)
    right = right_of(request, resolved)
    return await relay(
        _server(resolved, index), "POST", "/api/generate", sent, stream=is_stream(body, default=True), right=right
    )


@at_each(["POST"], "/api/embed", auth=averified)
async def embed(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _pass_on(request, "/api/embed", index)


@at_each(["POST"], "/api/embeddings", auth=averified)
async def embeddings(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _pass_on(request, "/api/embeddings", index)


@router.post("/api/show", auth=averified)
async def show(request: HttpRequest) -> HttpResponseBase:
    return await _pass_on(request, "/api/show", None)


@at_each(["POST"], "/v1/chat/completions", auth=averified)
async def openai_chat(request: HttpRequest, index: int | None) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, model_of(body))
    sent = await laid_over(request, body, resolved, for_openai)
    right = right_of(request, resolved)
    return await relay(
        _server(resolved, index), "POST", "/v1/chat/completions", sent, stream=is_stream(body), right=right
    )


@at_each(["POST"], "/v1/completions", auth=averified)
async def openai_completions(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _pass_on(request, "/v1/completions", index)


@at_each(["POST"], "/v1/embeddings", auth=averified)
async def openai_embeddings(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _pass_on(request, "/v1/embeddings", index)


# ------------------------------------------------------------------------------------------------ look after servers
@at_each(["POST"], "/api/pull", auth=aadmin, default=0)
async def pull_model(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _administer(request, "POST", "pull", index)


@at_each(["POST"], "/api/create", auth=aadmin, default=0)
async def create_model(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _administer(request, "POST", "create", index)


@at_each(["POST"], "/api/copy", auth=aadmin)
async def copy_model(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _administer(request, "POST", "copy", index)


@at_each(["DELETE", "POST"], "/api/push", auth=aadmin)
async def push_model(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _administer(request, "POST", "push", index)


@at_each(["DELETE"], "/api/delete", auth=aadmin)
async def delete_model(request: HttpRequest, index: int | None) -> HttpResponseBase:
    return await _administer(request, "DELETE", "delete", index)


@router.post("/api/unload", auth=aadmin)
async def unload_model(request: HttpRequest) -> dict[str, bool]:
    live = (await live_models()).get(model_of(json_body(request), "model", "name"))
    if live is None or live.kind != "ollama":
        raise Missing(NOT_FOUND)
    body = {"model": live.upstream_id, "keep_alive": 0, "prompt": "", "stream": False}
    user: Any = request.auth  # type: ignore[attr-defined]
    await asyncio.gather(*(ask(c.info, "POST", "/api/generate", body, user=user) for c in live.connections))
    return {"status": True}


# ------------------------------------------------------------------------------------------------------------ helpers
def _kept(config: OllamaConfig) -> Kept:
    """Ollama has no list of keys: they are among the options."""
    urls = [url.strip().rstrip("/") for url in config.base_urls]
    keys = [str(options_for(config.api_configs, i, url).get("key") or "") for i, url in enumerate(urls)]
    return Kept(urls, keys, config.api_configs)


async def _connections() -> list[Connection]:
    setup = await in_thread(load_setup)()
    if not setup.ollama.enable:
        raise UserError(DISABLED, status=503, code="disabled")
    return [connection for connection in setup.connections() if connection.kind == "ollama"]


async def _ask_all(request: HttpRequest, path: str, index: int | None) -> list[dict[str, Any]]:
    """What the servers that answer say."""
    chosen = [c for c in await _connections() if index is None or c.index == index]
    user: Any = request.auth  # type: ignore[attr-defined]
    answers = await asyncio.gather(*(ask(c.info, "GET", path, user=user) for c in chosen), return_exceptions=True)
    found: list[dict[str, Any]] = []
    for answer in answers:
        if isinstance(answer, dict):
            found.append(answer)
        elif not isinstance(answer, UserError):
            raise answer
    return found


def _version_key(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


async def _resolve(request: HttpRequest, model_id: str) -> Resolved:
    await _connections()
    resolved = await resolve_for(request.auth, model_id, status=403)  # type: ignore[attr-defined]
    if resolved.live.kind != "ollama":
        raise UserError(NOT_FOUND, status=403, code="model")
    return resolved


def _server(resolved: Resolved, index: int | None) -> Any:
    """The server with that place if it has the model, else the one that was picked."""
    if index is None:
        return resolved.connection
    try:
        return resolved.live.pick(index).info
    except LookupError as error:
        raise UserError(NOT_FOUND, status=403, code="model") from error


async def _pass_on(request: HttpRequest, path: str, index: int | None) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, model_of(body, "model", "name"))
    is_answer = path == "/v1/completions"
    if path != "/api/show":
        body = await (as_allowed(request, body, resolved) if is_answer else as_permitted(request, body))
    sent = {k: v for k, v in body.items() if k != "name"} | {"model": resolved.upstream_id}
    right = right_of(request, resolved)
    return await relay(_server(resolved, index), "POST", path, sent, stream=is_stream(body), right=right)


async def _administer(request: HttpRequest, method: str, verb: str, index: int | None) -> HttpResponseBase:
    """Passes on to the chosen server, or to the one that has the model, with the model's own id."""
    body = json_body(request)
    named = model_of(body, "model", "name", "source")
    connections = {c.index: c for c in await _connections()}
    live = (await live_models()).get(named)
    if index is None:
        index = live.pick().index if live and live.kind == "ollama" else 0
    connection = connections.get(index)
    if connection is None:
        raise Missing()
    own = live.upstream_id if live and connection in live.connections else named
    sent = body | {name: own for name in ("model", "name", "source") if body.get(name) == named}
    response = await relay(
        connection.info,
        method,
        f"/api/{verb}",
        sent,
        stream=is_stream(body, default=verb in ("pull", "create", "push")),
        user=request.auth,  # type: ignore[attr-defined]
    )
    if verb in _CHANGING:
        lists.forget()
    return response
