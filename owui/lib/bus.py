"""Telling other processes, best effort. What must not be lost is in the database; this only makes it quick."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import redis.exceptions
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

#: what a broker that is away raises; nothing else is swallowed
BROKER_ERRORS = (redis.exceptions.RedisError, OSError, asyncio.TimeoutError)
_PAUSE = 1.0
_away_until = 0.0


async def publish(group: str, message: dict[str, Any]) -> bool:
    """Sends to a group on all nodes. False when the broker is away; then it is not asked again for a second."""
    global _away_until
    if time.monotonic() < _away_until:
        return False
    layer = get_channel_layer()
    if layer is None:
        return False
    try:
        async with asyncio.timeout(2):
            await layer.group_send(group, message)
    except BROKER_ERRORS as error:
        if _away_until == 0.0:
            log.warning("The broker does not answer (%s); readers on other nodes follow the database.", error)
        _away_until = time.monotonic() + _PAUSE
        return False
    if _away_until:
        log.info("The broker answers again.")
        _away_until = 0.0
    return True


def publish_sync(group: str, message: dict[str, Any]) -> bool:
    """The same from a thread."""
    return bool(async_to_sync(publish)(group, message))
