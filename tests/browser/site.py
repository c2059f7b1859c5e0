"""The site of the browser's stories: besides two web workers and a task worker the real embedding model."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator

import psutil

from owui.embedded import embedding_server
from tests.ports import free_ports
from tests.processes.server import Site, until

KEY = "key-of-the-embedding-server"


class BrowserSite(Site):
    """`with BrowserSite() as site:` – everything is up inside and gone afterwards."""

    def __init__(self) -> None:
        super().__init__(workers=2, celery=True)

    def __enter__(self) -> BrowserSite:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _begin(self, celery: bool) -> None:
        port = free_ports()
        self.env |= {
            "EMBEDDING_SERVER_PORT": str(port),
            "EMBEDDING_SERVER_KEY": KEY,
            "RAG_OPENAI_API_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "RAG_OPENAI_API_KEY": KEY,
            "RAG_EMBEDDING_MODEL": embedding_server.MODEL_NAME,
            "ENABLE_API_KEYS": "True",
            "USER_PERMISSIONS_FEATURES_API_KEYS": "True",
        }
        self.start("embedding", "-m", "owui.embedded.embedding_server")
        # One more, for the story that shares it with a group: the others' belong to everybody.
        self.models.models.models.append("fake-shared")
        super()._begin(celery)
        until(lambda: _answers(f"http://127.0.0.1:{port}/health"), 240, "the embedding server")

    @contextlib.contextmanager
    def without_web_workers(self) -> Iterator[None]:
        """All of them killed, as running out of memory does; the server starts new ones when this is over, not before:
        a story about their absence must not depend on how fast they come back."""
        server = psutil.Process(self.web.pid)
        server.suspend()
        try:
            for child in server.children():
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
            yield
        finally:
            server.resume()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as response:
        return bool(response.status == 200)
    return False
