"""HTTP, sockets and the process's own life: what runs beside requests starts and ends here."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "owui.settings")  # noqa: TID251

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402

import owui.urls  # noqa: E402, F401  (a fault in any route stops the start, and no first request waits for imports)
from accounts.trusted import TrustedHeaders, keep_peers  # noqa: E402
from chat.routing import websocket_urlpatterns  # noqa: E402
from owui.lib.patience import Patience  # noqa: E402
from owui.lifespan import Draining, Lifespan  # noqa: E402
from owui.middleware import Handler  # noqa: E402
from owui.sockets import TokenAuthSocket  # noqa: E402

keep_peers()
router = ProtocolTypeRouter(
    {
        "http": Handler(),
        "websocket": TokenAuthSocket(URLRouter(websocket_urlpatterns)),
        "lifespan": Lifespan(),
    }
)
application = Draining(Patience(TrustedHeaders(router), settings.BOOT.slow_reader_timeout))
