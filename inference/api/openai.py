"""`/openai`: the OpenAI-compatible servers as they are, behind the same check as everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router

from inference.api.relay import aadmin, ask, json_body, model_of, relay, right_of
from inference.catalogue import Resolved, models_for, resolve_for
from inference.config import OpenAIConfig
from inference.connections import connection_info, load_setup
from inference.keys import Kept
from inference.permitted import passed_on, permitted_for, trimmed
from inference.presets import for_openai, system_for
from inference.schemas import OpenAIConfigForm, VerifyForm, listed_json
from owui.config.registry import InvalidSetting
from owui.lib.aio import in_thread
from owui.lib.errors import Missing, UserError
from owui.lib.guards import admin, averified

router = Router(tags=["openai"])
DISABLED = "The OpenAI API is switched off. Ask your administrator."


@router.get("/config", auth=admin)
def get_config(request: HttpRequest) -> dict[str, Any]:
    config = OpenAIConfig.load()
    kept = _kept(config)
    return {
        "ENABLE_OPENAI_API": config.enable,
        "OPENAI_API_BASE_URLS": config.api_base_urls,
        "OPENAI_API_KEYS": kept.shown_keys(),
        "OPENAI_API_CONFIGS": kept.shown_configs(),
    }


@router.post("/config/update", auth=admin)
def update_config(request: HttpRequest, form: OpenAIConfigForm) -> dict[str, Any]:
    urls = [url.strip().rstrip("/") for url in form.OPENAI_API_BASE_URLS]
    places = {str(i) for i in range(len(urls))}
    keys = [*form.OPENAI_API_KEYS, *[""] * len(urls)][: len(urls)]
    configs = {k: v for k, v in form.OPENAI_API_CONFIGS.items() if k in places or k in urls}
    sent = _kept(OpenAIConfig.load()).taken_back(urls, keys, configs)
    changes: dict[str, Any] = {"api_base_urls": urls, "api_keys": sent.keys, "api_configs": sent.configs}
    if form.ENABLE_OPENAI_API is not None:
        changes["enable"] = form.ENABLE_OPENAI_API
    try:
        OpenAIConfig.save(by=request.user, **changes)
    except InvalidSetting as error:
        raise UserError(error.message) from error
    return get_config(request)


@router.post("/verify", auth=aadmin)
async def verify(request: HttpRequest, form: VerifyForm) -> dict[str, Any]:
    url = form.url.strip().rstrip("/")
    kept = _kept(await in_thread(OpenAIConfig.load)())
    return await ask(
        connection_info("openai", url, *kept.for_trial(url, form.key or "", form.config or {})),
        "GET",
        "/models",
        user=request.auth,  # type: ignore[attr-defined]
    )


@router.get("/models", auth=averified)
async def list_models(request: HttpRequest) -> dict[str, Any]:
    await _enabled()
    listed = await models_for(request.auth, records=True, presets=False)  # type: ignore[attr-defined]
    data = [listed_json(m) for m in listed if m.live.kind == "openai"]
    return {"object": "list", "data": data}


@router.get("/models/{int:index}", auth=aadmin)
async def list_models_of(request: HttpRequest, index: int) -> dict[str, Any]:
    connection = (await in_thread(load_setup)()).connection("openai", index)
    if connection is None:
        raise Missing()
    return await ask(connection.info, "GET", "/models", user=request.auth)  # type: ignore[attr-defined]


@router.post("/chat/completions", auth=averified)
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, body)
    sent = await laid_over(request, body, resolved, for_openai)
    right = right_of(request, resolved)
    return await relay(
        resolved.connection, "POST", _path(resolved, "chat/completions"), sent, stream=is_stream(body), right=right
    )


@router.post("/completions", auth=averified)
async def completions(request: HttpRequest) -> HttpResponseBase:
    return await _pass_on(request, "completions")


@router.post("/embeddings", auth=averified)
async def embeddings(request: HttpRequest) -> HttpResponseBase:
    return await _pass_on(request, "embeddings")


@router.post("/responses", auth=averified)
async def responses(request: HttpRequest) -> HttpResponseBase:
    return await _pass_on(request, "responses")


def _kept(config: OpenAIConfig) -> Kept:
    return Kept([url.strip().rstrip("/") for url in config.api_base_urls], config.api_keys, config.api_configs)


async def as_allowed(request: HttpRequest, body: dict[str, Any], resolved: Resolved) -> dict[str, Any]:
    """The body of a request for an answer, without what the person may not set."""
    user: Any = request.auth  # type: ignore[attr-defined]
    return await in_thread(passed_on)(user, body, object_id=resolved.model_id, label=resolved.name)


async def laid_over(
    request: HttpRequest, body: dict[str, Any], resolved: Resolved, shape: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """What goes to the server: the body as the person may send it, with the preset laid over it."""
    user: Any = request.auth  # type: ignore[attr-defined]
    allowed = await as_allowed(request, body, resolved)
    # For our prompts; what they say of the person is nothing for the server.
    system = await system_for(user, resolved, allowed.pop("variables", None))
    return shape(allowed, resolved, resolved.upstream_id, system)


async def as_permitted(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """The same for a request that brings no answer, and so is not noted."""
    user: Any = request.auth  # type: ignore[attr-defined]
    return await in_thread(lambda: trimmed(body, permitted_for(user)))()


def is_stream(body: dict[str, Any], *, default: bool = False) -> bool:
    """Whether the caller asked for a stream."""
    return bool(body.get("stream", default))


async def _pass_on(request: HttpRequest, name: str) -> HttpResponseBase:
    body = json_body(request)
    resolved = await _resolve(request, body)
    is_answer = name != "embeddings"
    body = await (as_allowed(request, body, resolved) if is_answer else as_permitted(request, body))
    sent = body | {"model": resolved.upstream_id}
    right = right_of(request, resolved)
    return await relay(resolved.connection, "POST", _path(resolved, name), sent, stream=is_stream(body), right=right)


async def _resolve(request: HttpRequest, body: dict[str, Any]) -> Resolved:
    await _enabled()
    return await resolve_for(request.auth, model_of(body), status=403)  # type: ignore[attr-defined]


def _path(resolved: Resolved, name: str) -> str:
    """Ollama speaks OpenAI's protocol too, below `/v1`."""
    return f"/v1/{name}" if resolved.connection.kind == "ollama" else f"/{name}"


async def _enabled() -> None:
    if not (await in_thread(OpenAIConfig.load)()).enable:
        raise UserError(DISABLED, status=503, code="disabled")
