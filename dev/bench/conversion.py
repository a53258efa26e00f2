"""A million rows from the bytes of replies to Parquet in S3, by this project and by others."""

from dataclasses import dataclass
from statistics import median

from dev.bench.errors import BenchError
from dev.bench.jobs.job_args import JobArgs
from dev.bench.place import BenchPlace, Timing, middle
from dev.bench.replies import GeneratedReplies, Replies

OURS = "ours"
FLOOR = "floor"
DLT = "dlt_dicts"
WRANGLERS = ("wrangler", "wrangler_whole")
JOBS = (FLOOR, OURS, *WRANGLERS, DLT)
# These two are short and compared most closely: in each round the median of three counts.
_ROUND = (FLOOR, OURS) * 3 + (*WRANGLERS, DLT)


@dataclass(frozen=True)
class Conversion:
    """All rounds: the timings of each job, and its bytes of Parquet."""

    made: GeneratedReplies
    days: int
    timings: dict[str, list[Timing]]
    sizes: dict[str, int]

    def rate(self, job: str) -> float:
        """Median of rows per second."""
        return median(timing.rate for timing in self.timings[job])

    def seconds(self, job: str) -> float:
        return median(timing.seconds for timing in self.timings[job])

    def peak(self, job: str) -> float:
        """Median of peak memory in MiB."""
        return median(timing.peak_mib for timing in self.timings[job])

    def faster(self, job: str) -> float:
        """How many times the rows a second of another job ours has: median of the rounds."""
        pairs = zip(self.timings[OURS], self.timings[job], strict=True)
        return median(ours.rate / other.rate for ours, other in pairs)

    def memory(self, job: str) -> float:
        """Our peak as a share of another job's: median of the rounds."""
        pairs = zip(self.timings[OURS], self.timings[job], strict=True)
        return median(ours.peak_mib / other.peak_mib for ours, other in pairs)


def measure(where: BenchPlace, replies: Replies, rounds: int) -> Conversion:
    """Runs each job in each round, one after the other. Raises BenchError."""
    made = replies.make()
    timings: dict[str, list[Timing]] = {job: [] for job in JOBS}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        in_round: dict[str, list[Timing]] = {job: [] for job in JOBS}
        for job in _ROUND:
            bucket = where.new_bucket()
            in_round[job].append(where.run(job, *JobArgs(replies, bucket).words()))
            if job != FLOOR:
                sizes[job] = _checked(where, bucket, made, job)
        for job, several in in_round.items():
            timings[job].append(middle(several))
    return Conversion(made, replies.days, timings, sizes)


def _checked(where: BenchPlace, bucket: str, made: GeneratedReplies, job: str) -> int:
    stored = where.stored(bucket, "count")
    if (stored.rows, stored.requests) != (made.rows, made.requests):
        raise BenchError(
            f"{job} stored {stored.rows} rows with {stored.requests} requests, where the replies "
            f"hold {made.rows} with {made.requests}"
        )
    return stored.bytes
