"""What of the instance is built in and what the environment names, and the variables that follow for the children."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from owui.embedded import chat_server, embedding_server
from owui.embedded.children import Service
from owui.embedded.home import PROJECT_ROOT, Home, Refusal, environ, wait_for_server
from owui.embedded.postgres import Postgres
from owui.embedded.valkey import Valkey

# A key without an address means OpenAI's own address, so it counts as a named chat server too.
CHAT_VARIABLES = (
    *("OLLAMA_BASE_URL", "OLLAMA_BASE_URLS", "OPENAI_API_BASE_URL", "OPENAI_API_BASE_URLS"),
    *("OPENAI_API_KEY", "OPENAI_API_KEYS"),
)
EMBEDDING_VARIABLES = ("RAG_OPENAI_API_BASE_URL", "RAG_EMBEDDING_ENGINE")
# What `manage.py` beside a running instance has to agree on.
SHARED_VARIABLES = (
    *("DATABASE_URL", "REDIS_URL", "WEBSOCKET_REDIS_URL", "WEBUI_SECRET_KEY", "OWUI_HOME", "DATA_DIR"),
    *("ENABLE_OLLAMA_API", "RAG_OPENAI_API_KEY", "RAG_EMBEDDING_MODEL", "RAG_EMBEDDING_BATCH_SIZE"),
    *CHAT_VARIABLES,
    *EMBEDDING_VARIABLES,
)


#: what a model is asked for after each answer, where it is good for that
AFTER_ANSWERS = ("ENABLE_TITLE_GENERATION", "ENABLE_TAGS_GENERATION", "ENABLE_FOLLOW_UP_GENERATION")


@dataclass(slots=True)
class Plan:
    """The parts to start and the environment of everything that runs above them."""

    home: Home
    env: dict[str, str]
    postgres: Postgres | None = None
    valkey: Valkey | None = None
    models: list[Service] = field(default_factory=list)

    def shared(self, user_variables: Mapping[str, str]) -> dict[str, str]:
        names = (*SHARED_VARIABLES, *(f"{name}_FILE" for name in SHARED_VARIABLES), *user_variables)
        return {name: self.env[name] for name in names if name in self.env}


def make_plan(home: Home, *, with_models: bool) -> Plan:
    """Read the environment; refuse when a server it names cannot be reached."""
    # The real environment wins over the file.
    env = {**home.user_variables(), **environ}
    # Several arenas a thread cost more memory than they save time here.
    env.setdefault("MALLOC_ARENA_MAX", "2")
    env["PYTHONUNBUFFERED"] = "1"
    plan = Plan(home, env)
    given: dict[str, str] = {"OWUI_HOME": str(home.path), "DATA_DIR": str(home.path / "data")}
    if address := _value(env, "DATABASE_URL"):
        wait_for_server("DATABASE_URL", address, 5432)
    else:
        plan.postgres = Postgres(home)
        given["DATABASE_URL"] = plan.postgres.url
    if address := _value(env, "REDIS_URL"):
        wait_for_server("REDIS_URL", address, 6379)
    else:
        plan.valkey = Valkey(home)
        given["REDIS_URL"] = plan.valkey.url
    # On one's own machine nobody takes over, and whoever stops it waits for it.
    given["SHUTDOWN_DRAIN_SECONDS"] = "8"
    if not any(_value(env, name) for name in ("ENABLE_SIGNUP", "WEBUI_ADMIN_EMAIL")):
        # On one's own machine the form stays open after the first account: colleagues sign up and wait for approval.
        given["ENABLE_SIGNUP"] = "True"
    if not _value(env, "WEBUI_JWT_SECRET_KEY"):
        given["WEBUI_SECRET_KEY"] = home.secret("webui-secret-key")
    if with_models and not any(_value(env, name) for name in CHAT_VARIABLES):
        given |= _chat(plan)
    if with_models and not any(_value(env, name) for name in EMBEDDING_VARIABLES):
        given |= _embedding(plan)
    # An empty variable counts as unset, a filled one stays as it is.
    env.update({name: value for name, value in given.items() if not _value(env, name)})
    env["OWUI_HOME"] = str(home.path)
    return plan


def _value(env: Mapping[str, str], name: str) -> str:
    """A variable, or the content of the file that NAME_FILE names."""
    if value := env.get(name, "").strip():
        return value
    if path := env.get(f"{name}_FILE", "").strip():
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise Refusal(f"{name}_FILE names {path}, which cannot be read: correct it or make it readable.") from error
    return ""


def _chat(plan: Plan) -> dict[str, str]:
    if chat_server.model_path() is None:
        print("The built-in chat model is not installed, so there is none: connect one in the settings.", flush=True)
        return {"ENABLE_OLLAMA_API": "False"}
    key, port = plan.home.secret("model-api-key"), plan.home.port("chat")
    plan.models.append(
        Service(
            name="chat-model",
            title="The chat model",
            argv=[sys.executable, "-m", "owui.embedded.chat_server"],
            env={**plan.env, "CHAT_SERVER_PORT": str(port), "CHAT_SERVER_KEY": key},
            cwd=PROJECT_ROOT,
            is_ready=lambda: answers("127.0.0.1", port),
        )
    )
    return {
        "OPENAI_API_BASE_URLS": f"http://127.0.0.1:{port}/v1",
        "OPENAI_API_KEYS": key,
        "ENABLE_OLLAMA_API": "False",
        # The built-in model writes one answer at a time and no good titles: the next question should not wait for them.
        **dict.fromkeys(AFTER_ANSWERS, "False"),
    }


def _embedding(plan: Plan) -> dict[str, str]:
    key, port = plan.home.secret("model-api-key"), plan.home.port("embedding")
    plan.models.append(
        Service(
            name="embedding-model",
            title="The embedding model",
            argv=[sys.executable, "-m", "owui.embedded.embedding_server"],
            env={**plan.env, "EMBEDDING_SERVER_PORT": str(port), "EMBEDDING_SERVER_KEY": key},
            cwd=PROJECT_ROOT,
            is_ready=lambda: answers("127.0.0.1", port),
        )
    )
    return {
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_OPENAI_API_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "RAG_OPENAI_API_KEY": key,
        "RAG_EMBEDDING_MODEL": embedding_server.MODEL_NAME,
        "RAG_EMBEDDING_BATCH_SIZE": "16",
    }


def answers(host: str, port: int, path: str = "/health") -> bool:
    """Whether a GET there gives 200 within a second."""
    connection = http.client.HTTPConnection(host, port, timeout=1.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
