"""The errors that end a command, and the exit code of each."""

DONE = 0
BAD_NEWS = 1
WRONG_USAGE = 2
NOT_DONE = 3
INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do its work; the message says what failed and what to do."""

    exit_code = NOT_DONE


class BadNews(CommandError):  # noqa: N818 - the command did its work
    """The command worked, and its result needs attention: failed partitions, for example."""

    exit_code = BAD_NEWS


class WrongUsage(CommandError):  # noqa: N818 - as above
    """A wrong value of the user's; the message names it and the valid ones."""

    exit_code = WRONG_USAGE
