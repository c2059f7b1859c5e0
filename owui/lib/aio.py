"""The one bridge from async code to the ORM.

Measured: 40 open streams that had used the ORM the usual async way held 40 database connections until they ended; with
this hop none. Six consumers doing 0.3 s of ORM each took 1.8 s in Django's thread-sensitive mode and 0.3 s here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

from channels.db import DatabaseSyncToAsync
from django.conf import settings

P = ParamSpec("P")
R = TypeVar("R")
#: threads for what comes in crowds: one computes while the other waits for the database
FEW = 2


@lru_cache(maxsize=1)
def _executor() -> ThreadPoolExecutor:
    # As many threads as the connection pool has connections: more would only wait inside the pool.
    return ThreadPoolExecutor(max_workers=max(2, settings.BOOT.database_pool_size - 4), thread_name_prefix="orm")


@lru_cache(maxsize=1)
def few() -> ThreadPoolExecutor:
    """For what comes in crowds and computes more than it waits. All threads share one interpreter with the event loop:
    with a dozen that begin answers at once, the answers that are begun already would stand still until all are."""
    return ThreadPoolExecutor(max_workers=FEW, thread_name_prefix="orm-few")


def in_thread(
    function: Callable[P, R], *, among: Callable[[], ThreadPoolExecutor] | None = None
) -> Callable[P, Coroutine[Any, Any, R]]:
    """`await in_thread(load_turn)(turn_id)`: runs a plain sync function in a thread and gives its connection back.

    The function returns plain data or fully loaded objects; nothing lazy may be touched on the event loop.
    """
    executor = (among or _executor)()
    hop: Callable[P, Coroutine[Any, Any, R]] = DatabaseSyncToAsync(function, thread_sensitive=False, executor=executor)
    return hop


async def begun(generator: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Starts a generator whose first item is empty, and gives it back.

    Who leaves between a view and its response takes the response with them unread. Python ends a generator that was
    dropped, and runs its `finally`, only if it had been started; one that was not leaves open what it was to close.
    """
    await anext(generator)
    return generator


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until they are over.

    Asked for again while one goes on: client libraries clean up when they are cancelled, and an error there (the
    channel layer's `receive` knows a few) reaches a task's own error handling instead of the cancellation.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _done, pending = await asyncio.wait(pending, timeout=0.5)
