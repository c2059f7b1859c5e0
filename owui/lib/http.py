"""The one HTTP client for talking to other servers.

Every outgoing call goes through `client()`, so the rules hold everywhere: no redirects (a server that redirects could
point us at an address nobody allowed), no proxies, credentials or certificates taken from the environment behind the
operator's back, no cloud's metadata service (`owui.lib.egress`), no cookies kept from one person's call to the next
one's, and TLS verified.

The transport is aiohttp's: receiving one streamed token costs about a third of what httpx's own transport costs.
"""

import asyncio
import enum
import functools
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from weakref import WeakKeyDictionary

import aiohttp
import certifi
import httpx
from httpx_aiohttp import AiohttpTransport

from owui.lib import egress

# Model servers commonly drop an idle connection after 5 s; letting go first avoids posting into a closing one.
KEEPALIVE_SECONDS = 4.0
DNS_SECONDS = 300


@dataclass(frozen=True, slots=True)
class _Options:
    ca_file: str | None = None
    verify: bool = True
    max_connections: int = 1000
    user_agent: str = "owui"


@dataclass(frozen=True, slots=True)
class _Held:
    client: httpx.AsyncClient
    transport: httpx.AsyncBaseTransport
    keeper: AsyncGenerator[httpx.AsyncClient, None]


_options = _Options()
_held: WeakKeyDictionary[asyncio.AbstractEventLoop, _Held] = WeakKeyDictionary()
_lock = threading.Lock()


def configure(
    *, ca_file: str | None = None, verify: bool = True, max_connections: int = 1000, user_agent: str = "owui"
) -> None:
    """Set how clients made from now on connect; call it once at start.

    `ca_file` is a PEM file trusted in addition to the system's and certifi's authorities; a missing or empty file
    raises `OSError` or `ssl.SSLError` here, not at the first call. `max_connections` is per event loop; an open
    stream holds one.
    """
    global _options
    _options = _Options(ca_file, verify, max_connections, user_agent)
    _tls.cache_clear()
    _tls(ca_file, verify)


@functools.lru_cache(maxsize=1)
def _tls(ca_file: str | None, verify: bool) -> ssl.SSLContext:
    """Loading authorities takes tens of milliseconds, so event loops share the context."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_context() -> ssl.SSLContext:
    """The authorities that all our connections trust."""
    return _tls(_options.ca_file, _options.verify)


def client() -> httpx.AsyncClient:
    """Give the running event loop's client, made on first use; raises `RuntimeError` outside a loop.

    Callers share it and must not close it. It closes itself when its loop shuts down.
    """
    loop = asyncio.get_running_loop()
    return _of(loop).client


def _of(loop: asyncio.AbstractEventLoop) -> _Held:
    held = _held.get(loop)
    if held is not None and not held.client.is_closed:
        return held
    transport = _make_transport()
    made = _make_client(transport)
    # A loop closes the async generators it has seen before it ends (`asyncio.run`, uvicorn, Celery's and pytest's
    # loops all do), which makes a started generator the only hook that may still await on that loop.
    keeper = _keep(loop, made)
    with suppress(StopIteration):
        keeper.__anext__().send(None)
    with _lock:
        # the values hold their loop alive, so an entry whose loop was closed abruptly must be dropped by hand
        for other in [other for other in _held if other.is_closed()]:
            del _held[other]
        _held[loop] = held = _Held(made, transport, keeper)
    return held


@functools.lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


async def send(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, timeout: Mapping[str, float | None]
) -> httpx.Response:
    """Send a request over the running loop's connections and give the answer once its head is there.

    What a client of httpx does besides (redirects, signing in, cookies, merging) is never wanted of a model server, and
    costs as much again as the request itself. The caller closes the response.

    :param timeout: seconds by `connect`, `pool`, `read` and `write`; None waits for ever
    """
    sent = {"Accept": "*/*", "User-Agent": _options.user_agent, **headers}
    request = httpx.Request(method, _url(url), headers=sent, content=content, extensions={"timeout": timeout})
    return await _of(asyncio.get_running_loop()).transport.handle_async_request(request)


async def close_client() -> None:
    """Close the running loop's client and its connections now; the next `client()` makes a new one."""
    held = _held.get(asyncio.get_running_loop())
    if held is not None:
        await held.keeper.aclose()


async def _keep(loop: asyncio.AbstractEventLoop, held: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient, None]:
    try:
        yield held
    finally:
        with _lock:
            _held.pop(loop, None)
        await held.aclose()


def _make_transport() -> httpx.AsyncBaseTransport:
    options = _options
    context = _tls(options.ca_file, options.verify)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context,
            limit=options.max_connections,
            limit_per_host=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=DNS_SECONDS,
            resolver=egress.Resolver(),
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

    return _Transport(verify=context, trust_env=False, client=session)


def _make_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    made = httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": _options.user_agent},
        timeout=httpx.Timeout(60.0, connect=10.0, pool=10.0),
    )
    made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return made


class _Transport(AiohttpTransport):
    """Leaves aiohttp's own answer within reach of `body_reader`, and asks no service of a cloud's own."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if egress.is_forbidden(request.url.host):
            raise httpx.UnsupportedProtocol("This address is never asked.", request=request)
        response: httpx.Response = await super().handle_async_request(request)
        response.extensions["aiohttp_response"] = getattr(response.stream, "_aiohttp_response", None)
        return response


def body_reader(response: httpx.Response) -> Callable[[], Awaitable[bytes]]:
    """Give a function that awaits the next bytes of a streamed body, `b""` at its end.

    It reads from aiohttp directly where it can: httpx wraps each read in four generators, which would cost more than
    parsing the token, and which linger when a stream is given up half way. Faults come as `httpx` or `aiohttp`
    exceptions (see `fault_of`). The caller still closes the response.
    """
    raw = response.extensions.get("aiohttp_response")
    if isinstance(raw, aiohttp.ClientResponse) and "content-encoding" not in response.headers:
        read: Callable[[], Awaitable[bytes]] = raw.content.readany
        return read
    chunks = response.aiter_bytes()

    async def read_decoded() -> bytes:
        return await anext(chunks, b"")

    return read_decoded


def unread(response: httpx.Response) -> bytes:
    """What had arrived before a fault and was not read yet: aiohttp raises the fault first, and would lose it."""
    raw = response.extensions.get("aiohttp_response")
    if isinstance(raw, aiohttp.ClientResponse) and "content-encoding" not in response.headers:
        return raw.content._read_nowait(-1)
    return b""


def end_of(response: httpx.Response) -> Callable[[Callable[[], None]], None] | None:
    """A function that takes one to be called when all bytes of a body are at hand; None where nobody can tell."""
    raw = response.extensions.get("aiohttp_response")
    return raw.content.on_eof if isinstance(raw, aiohttp.ClientResponse) else None


def transport_of(response: httpx.Response) -> asyncio.ReadTransport | None:
    """What a body comes by while it comes; None where nobody can tell, or when all of it is here."""
    raw = response.extensions.get("aiohttp_response")
    connection = raw.connection if isinstance(raw, aiohttp.ClientResponse) else None
    return connection.transport if connection is not None else None


class Fault(enum.Enum):
    """What went wrong between us and another server."""

    ADDRESS = "the address cannot be used"
    TLS = "the server's certificate was not accepted"
    UNREACHABLE = "no connection could be made"
    TIMEOUT = "the server was silent for too long"
    CUT = "the connection broke, or was not HTTP"


FAULTS: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError, OSError)


def was_closed_unasked(error: BaseException) -> bool:
    """Whether a server let go of a connection before it said a word: of a kept one, most likely, as it was used."""
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    return isinstance(cause, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)) and not isinstance(
        cause, aiohttp.ClientConnectorError
    )


def fault_of(error: BaseException) -> Fault:
    """Name the kind of fault behind one of `FAULTS`.

    It looks at aiohttp's exception first: the transport's translation calls a refused connection, and even a
    connection lost half way, a connect timeout.
    """
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    root = cause if isinstance(cause, aiohttp.ClientError) else error
    match root:
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Fault.ADDRESS
        case aiohttp.ClientSSLError() | ssl.SSLError() | aiohttp.ServerFingerprintMismatch():
            return Fault.TLS
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | httpx.ConnectError():
            return Fault.UNREACHABLE
        case TimeoutError() | httpx.TimeoutException():
            return Fault.TIMEOUT
        case _:
            return Fault.CUT
