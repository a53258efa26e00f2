"""What the benchmark may fail with."""


class BenchError(Exception):
    """It cannot go on, or what a job stored is wrong; the message says why."""
