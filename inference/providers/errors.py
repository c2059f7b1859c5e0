"""What can go wrong with a model server.

ProviderError
├── ConnectionMisconfigured   the address, key or headers cannot be used as they are
├── SignInNeeded              the person's own token is to be sent, and there is none
├── ServerUnreachable         nothing answers at the address
├── ServerTimeout             it was silent, or took longer in all, than allowed
├── ServerRejected            it refused the request (4xx)
├── ServerFailed              it failed itself (5xx, or an error in the middle of an answer)
├── StreamCutOff              the connection ended before the answer did
├── AnswerTooLong             the answer has more characters than allowed
└── BadAnswer                 it sent something that is not its protocol

`str(error)` and `error.message` are shown to people: they say what to do and never hold a key. Text that was yielded
before an error stays with the caller.
"""

from typing import Any


class ProviderError(Exception):
    """A model server could not answer. `status` is its HTTP status where there was one; `retryable` says whether the
    same request may succeed later without anybody changing anything."""

    retryable_by_default = False

    def __init__(self, message: str, status: int | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retryable = self.retryable_by_default if retryable is None else retryable
        #: the server's own error object and when it wants to be asked again, for programs; free of keys
        self.body: dict[str, Any] = {}
        self.retry_after = ""


class ConnectionMisconfigured(ProviderError):
    """The connection's address, key, headers or certificate cannot be used; an administrator must change them."""


class SignInNeeded(ProviderError):
    """The server is asked with the person's own token of their provider, which they do not have (any more)."""


class ServerUnreachable(ProviderError):
    """No connection could be made."""

    retryable_by_default = True


class ServerTimeout(ProviderError):
    """The server was silent for longer than the idle limit, or the whole answer exceeded the total limit."""

    retryable_by_default = True


class ServerRejected(ProviderError):
    """The server refused the request; `upstream` is its own text, such as the context length it has."""

    def __init__(
        self, message: str, status: int | None = None, retryable: bool | None = None, upstream: str = ""
    ) -> None:
        super().__init__(message, status, retryable)
        self.upstream = upstream


class ServerFailed(ProviderError):
    """The server took the request and failed; `upstream` is its own text."""

    retryable_by_default = True

    def __init__(
        self, message: str, status: int | None = None, retryable: bool | None = None, upstream: str = ""
    ) -> None:
        super().__init__(message, status, retryable)
        self.upstream = upstream


class StreamCutOff(ProviderError):
    """The connection ended before the answer did."""

    retryable_by_default = True


class AnswerTooLong(ProviderError):
    """The model wrote more than one answer may have; the connection is closed, what had come is kept."""


class BadAnswer(ProviderError):
    """The server sent something that is not its protocol."""
