"""Errors, named by what the caller should do. No message ever holds a token, a key or a secret."""

# ruff: noqa: N818 - the names say what to do; that they are errors, their base says

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A reply may quote megabytes, and a run's failures are kept, logged and sent together.
MAX_TEXT = 700
# Of a reply that cannot be read so much is kept for a person to look at.
MAX_REPLY = 1_000_000


class InsightsError(Exception):
    """The base of all errors of this project.

    A long message loses its middle: its beginning says what failed, its end what to do. `status`
    is the HTTP status that the error was made from, None where there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        if len(message) > MAX_TEXT:
            message = f"{message[: MAX_TEXT - 203]} … {message[-200:]}"
        super().__init__(message)
        self.status = status


class Retriable(InsightsError):
    """The same may well succeed later.

    `retry_after` is the number of seconds that the other side asked for, None where it did not.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Held(Retriable):
    """The service asked to wait for longer than there is time: nothing is sent until then."""


class Unauthenticated(InsightsError):
    """The credentials were refused: another token may help, the same one does not."""


class PersonMustAct(InsightsError):
    """Nothing that the software can do helps: the message says what a person should do."""


class Undecryptable(PersonMustAct):
    """A stored token is encrypted by a key that this function cannot use."""


class ConfigurationError(PersonMustAct):
    """A setting or a secret is wrong: the message names it, its value and the remedy."""


class BadAnswer(InsightsError):
    """The other side answered what cannot be used, or refused this very request.

    `reply` is what it answered, for the quarantine: its first `MAX_REPLY` bytes.
    """

    def __init__(
        self, message: str, *, status: int | None = None, reply: bytes | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.reply = reply[:MAX_REPLY] if reply else reply


class SchemaDiffers(BadAnswer):
    """The service's schema is not the one that the query and its answer follow."""


class Refused(BadAnswer):
    """The other side refused this very request as a whole: a smaller one may pass.

    `blamed` are the queries that it points at, by their number, each with what it says of it.
    """

    def __init__(
        self, message: str, *, status: int | None = None, reply: bytes | None = None
    ) -> None:
        super().__init__(message, status=status, reply=reply)
        self.blamed: Mapping[int, Refused] = {}


class OutOfTime(InsightsError):
    """The time ran out before this was done: it is left for the next run."""


# What no retry helps against.
NEEDS_PERSON = (PersonMustAct, Unauthenticated, SchemaDiffers)
