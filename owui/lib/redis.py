"""Redis as a place that may vanish: short timeouts, and a plain answer when it is not there."""

from __future__ import annotations

from functools import lru_cache

import redis
from django.conf import settings


@lru_cache(maxsize=1)
def connection() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


def ping() -> bool:
    """True when Redis answers within a second."""
    try:
        return bool(connection().ping())
    except redis.RedisError:
        return False
