"""The error of the benchmark."""


class BenchError(Exception):
    """The benchmark cannot continue, or a job stored wrong rows; the message says why."""
