"""What Redis says of itself, asked once a run, within a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.utils.translation import gettext as _

from owui.lib.redis import connection
from owui.security.registry import once

# Never `requirepass`: the answer would be the password.
_ASKED = ("maxclients", "timeout", "maxmemory-policy", "bind", "protected-mode")


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """Configuration as far as it was told; `fault` says why there is none, `is_forbidden` whose decision that is."""

    config: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    is_forbidden: bool = False


@once
def redis_facts() -> RedisFacts:
    config: dict[str, str] = {}
    try:
        for name in _ASKED:
            answer = connection().config_get(name)
            config |= {_text(key): _text(value) for key, value in dict(answer).items()}
    except redis.ResponseError:
        return RedisFacts(fault=_("Redis refuses CONFIG GET to this user."), is_forbidden=True)
    except redis.RedisError:
        return RedisFacts(fault=_("Redis cannot be asked at the moment."))
    return RedisFacts(config)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def has_password(url: str) -> bool:
    return bool(urlsplit(url).password)


def redis_urls() -> list[str]:
    """The addresses in use: the shared one, and that of the sockets when it differs."""
    return list(dict.fromkeys(url for url in (settings.REDIS_URL, settings.BOOT.websocket_redis_url) if url))
