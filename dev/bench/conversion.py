"""A million rows from the bytes of replies to Parquet in S3, by this project and by others."""

from dataclasses import dataclass
from statistics import median

from dev.bench.errors import BenchError
from dev.bench.jobs.given import Given
from dev.bench.place import Place, Took, middle
from dev.bench.replies import Made, Replies

OURS = "ours"
FLOOR = "floor"
DLT = "dlt_dicts"
WRANGLERS = ("wrangler", "wrangler_whole")
JOBS = (FLOOR, OURS, *WRANGLERS, DLT)
# These two are short and compared most closely: in each round the median of three counts.
_ROUND = (FLOOR, OURS) * 3 + (*WRANGLERS, DLT)


@dataclass(frozen=True)
class Conversion:
    """All rounds: for each job what it took in each of them, and bytes of Parquet."""

    made: Made
    days: int
    took: dict[str, list[Took]]
    sizes: dict[str, int]

    def rate(self, job: str) -> float:
        """Median of rows a second."""
        return median(took.rate for took in self.took[job])

    def seconds(self, job: str) -> float:
        """Median."""
        return median(took.seconds for took in self.took[job])

    def peak(self, job: str) -> float:
        """Median of peak memory in MiB."""
        return median(took.peak_mib for took in self.took[job])

    def faster(self, job: str) -> float:
        """How many times the rows a second of another job ours has: median of the rounds."""
        pairs = zip(self.took[OURS], self.took[job], strict=True)
        return median(ours.rate / other.rate for ours, other in pairs)

    def memory(self, job: str) -> float:
        """Our peak as a share of another job's: median of the rounds."""
        pairs = zip(self.took[OURS], self.took[job], strict=True)
        return median(ours.peak_mib / other.peak_mib for ours, other in pairs)


def measure(where: Place, replies: Replies, rounds: int) -> Conversion:
    """Runs each job in each round, one after the other. Raises BenchError."""
    made = replies.make()
    took: dict[str, list[Took]] = {job: [] for job in JOBS}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        in_round: dict[str, list[Took]] = {job: [] for job in JOBS}
        for job in _ROUND:
            bucket = where.new_bucket()
            in_round[job].append(where.run(job, *Given(replies, bucket).words()))
            if job != FLOOR:
                sizes[job] = _checked(where, bucket, made, job)
        for job, several in in_round.items():
            took[job].append(middle(several))
    return Conversion(made, replies.days, took, sizes)


def _checked(where: Place, bucket: str, made: Made, job: str) -> int:
    stored = where.stored(bucket, "count")
    if (stored.rows, stored.requests) != (made.rows, made.requests):
        raise BenchError(
            f"{job} stored {stored.rows} rows with {stored.requests} requests, where the replies "
            f"hold {made.rows} with {made.requests}"
        )
    return stored.bytes
