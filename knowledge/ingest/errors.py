"""The one fault these steps raise."""


class IngestError(Exception):
    """A document that cannot be taken in. The message is shown to people and says what they can do about it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def __reduce__(self) -> tuple[type["IngestError"], tuple[str, str]]:
        # Exceptions pickle by `args`, which holds one value here; workers pass faults between processes.
        return type(self), (self.message, self.code)
