"""What a command at the terminal may fail with."""


class CommandError(Exception):
    """A command cannot go on; the message says what failed and what to do."""
