"""What a command may end with, and the exit code that tells it to a script."""

DONE = 0
BAD_NEWS = 1
WRONG_USAGE = 2
NOT_DONE = 3
INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do its work; the message says what failed and what to do."""

    exit_code = NOT_DONE


class BadNews(CommandError):  # noqa: N818 - its name says what it brings
    """The command did its work, and what it found needs attention: partitions failed, say."""

    exit_code = BAD_NEWS


class WrongUsage(CommandError):  # noqa: N818 - as above
    """A value that the user gave cannot be; the message names it and what can."""

    exit_code = WRONG_USAGE
