"""The table of faults: what goes wrong, where, and what the functions should do about it.

Each fault has cases: variants of it, and moments at which it strikes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.faults.proxy import Rule

if TYPE_CHECKING:
    from tests.faults.station import Station

# mended: the run notices and exports everything all the same.
# failed: it names what failed, and fails, so that it is run again.
# person: it names what failed, and what a person should do.
Outcome = Literal["mended", "failed", "person"]
ALWAYS = None


@dataclass(frozen=True)
class Case:
    """A run with faults.

    `choreo` are rules of the sandbox, `aws` those of the proxy. `says` is a pattern that the named
    reasons must fit. `settled_by` is what a person does afterwards. `fresh`: the next run is that
    of a new container, for this one was told to wait. `soak`: it takes long.
    """

    id: str
    outcome: Outcome
    choreo: tuple[Mapping[str, Any], ...] = ()
    aws: tuple[Rule, ...] = ()
    says: str = ""
    settled_by: Callable[["Station"], None] | None = None
    event: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False
    soak: bool = False


@dataclass(frozen=True)
class Fault:
    """A row of the table; `happens` is for the page. `by` names the tests of what is no rule."""

    name: str
    place: str
    happens: str
    cases: tuple[Case, ...] = ()
    by: str = ""


def rule(fault: str, times: int | None = 1, **values: Any) -> dict[str, Any]:
    """A rule of the sandbox."""
    return {"fault": fault, "times": times, **values}


def token(fault: str, times: int | None = 1, **values: Any) -> dict[str, Any]:
    """A rule of the sandbox's token service."""
    return rule(fault, times, where="token", **values)


def aws_error(
    service: str, operation: str, code: str, status: int, times: int | None = 2, **values: Any
) -> Rule:
    """An error of AWS."""
    return Rule("error", service, operation, code=code, status=status, times=times, **values)


def _store_secret(station: "Station") -> None:
    station.store_secret()


# Fields in the order of a run: what all wait for, a list, pages, hours, fives, a number.
FIRST, LIST, PAGES = "listEnvironments", "listAllAPI", "getResourceUsage"
HOURS, FIVES, NUMBER = "getSuccessSummary", "getAPIUsageOverTime", "getTotalTraffic"
FIELDS = (FIRST, LIST, PAGES, HOURS, FIVES, NUMBER)
SHAPES = ("error_message", "code", "fault")


def once(fault: str, **values: Any) -> Iterator[Case]:
    """A fault that passes: at the first request, and in the middle."""
    yield Case(f"{fault}-first", "mended", (rule(fault, **values),))
    yield Case(f"{fault}-later", "mended", (rule(fault, skip=2, times=2, **values),))


def always(
    fault: str, outcome: Outcome, says: str, fields: Iterable[str] = (FIRST, PAGES), **values: Any
) -> Iterator[Case]:
    """A fault that stays, for one query field."""
    for name in fields:
        rules = (rule(fault, ALWAYS, field=name, **values),)
        yield Case(f"{fault}-always-{name}", outcome, rules, says=says)


def _token_service() -> Iterator[Fault]:
    place = "token service"
    down = (token("reset", ALWAYS),)
    yield Fault(
        "down",
        place,
        "Asked again with back-off; where it stays down the run fails, and the next one mints.",
        (
            Case("once", "mended", (token("reset"),)),
            Case("always", "failed", down, says="could not be asked"),
            Case("503-once", "mended", (token("status", status=503),)),
            Case("503-always", "failed", (token("status", ALWAYS, status=503),), says="503"),
        ),
    )
    yield Fault(
        "slow, hanging, dripping",
        place,
        "A limit on every attempt and on the whole; asked again within the lease of one mint.",
        (
            Case("slow", "mended", (token("slow", seconds=3),)),
            Case("drip", "mended", (token("drip", seconds=3),)),
            Case("hang-once", "mended", (token("hang"),), soak=True),
            Case("hang-always", "failed", (token("hang", ALWAYS),), says="no token", soak=True),
            Case("drip-always", "failed", (token("drip", ALWAYS, seconds=60),), soak=True),
        ),
    )
    nonsense = ("html", "not_json", "empty", "invalid_json", "truncated", "gzip_unannounced")
    yield Fault(
        "success without a token",
        place,
        "Never taken for a token: the run fails, the reason names TokenUrl.",
        tuple(
            Case(name, "failed", (token(name, ALWAYS),), says="without an access_token")
            for name in nonsense
        ),
    )
    yield Fault(
        "a reply that breaks off, or is compressed",
        place,
        "A broken one is asked for again; gzip is read.",
        (
            Case("cut", "mended", (token("cut"),)),
            Case("gzip", "mended", (token("gzip", ALWAYS),)),
        ),
    )
    yield Fault(
        "no `expires_in`, or a senseless one",
        place,
        "The token counts for 300 seconds.",
        (
            Case("without", "mended", (token("no_expires_in", ALWAYS),)),
            Case("senseless", "mended", (token("wrong_expires_in", ALWAYS),)),
        ),
    )
    yield Fault(
        "`invalid_client`, 403",
        place,
        "A person is asked to store the credentials; storing them ends it at once. "
        "A refusal is remembered for a minute, so that nobody asks in vain.",
        (
            Case(
                "invalid_client",
                "person",
                (token("invalid_client", ALWAYS),),
                says="make secret ORG=",
                settled_by=_store_secret,
            ),
            Case(
                "403",
                "person",
                (token("status", ALWAYS, status=403),),
                says="403.*TokenUrl",
                settled_by=_store_secret,
            ),
        ),
    )
    yield Fault(
        "429",
        place,
        "Waited for, if it is short.",
        (Case("seconds", "mended", (token("status", status=429, wait="seconds", seconds=1),)),),
    )
    yield Fault(
        "tokens of 5 KB and 9 KB",
        place,
        "5 KB are kept (an advanced parameter); more than 8 KB cannot be: a person is told.",
        (
            Case("5-KB", "mended", (token("token_size", ALWAYS, size=5_000),)),
            Case(
                "9-KB",
                "person",
                (token("token_size", ALWAYS, size=9_000),),
                says="Parameter Store holds 8192",
                settled_by=_store_secret,
            ),
        ),
    )


def _tokens() -> Iterator[Fault]:
    place = "token in use"
    yield Fault(
        "killed in the middle of a run",
        place,
        "401: the cache is read again, then one new token is asked for; no partition is lost.",
        (
            Case("once", "mended", (rule("kill_tokens", skip=2),)),
            Case("twice", "mended", (rule("kill_tokens", skip=1), rule("kill_tokens", skip=3))),
            Case(
                "every-one",
                "person",
                (rule("kill_tokens", ALWAYS),),
                says="token",
                fresh=True,
            ),
        ),
    )
    yield Fault(
        "401 in each of the gateway's three shapes",
        place,
        "As above; where every token is refused, a person is told to check the subscription.",
        tuple(
            case
            for shape in SHAPES
            for case in (
                Case(f"{shape}-once", "mended", (rule("status", status=401, shape=shape),)),
                Case(
                    f"{shape}-always",
                    "person",
                    (rule("status", ALWAYS, status=401, shape=shape),),
                    says="subscription",
                    fresh=True,
                ),
            )
        ),
    )


def _gateway() -> Iterator[Fault]:
    place = "gateway"
    yield Fault(
        "403, 404, 410 in each of the three shapes",
        place,
        "Not asked again: a person is told what to do.",
        tuple(
            Case(
                f"{status}-{shape}",
                "person",
                (rule("status", ALWAYS, status=status, shape=shape, skip=skip),),
                says=f"{status}.*{says}",
            )
            for skip, shape in enumerate(SHAPES)
            for status, says in ((403, "subscribe"), (404, "address"), (410, "address"))
        ),
    )
    yield Fault(
        "400, 422: the request is refused",
        place,
        "Asked again in smaller requests, down to single questions; what is refused alone fails.",
        tuple(
            Case(
                f"{status}-{shape}",
                "mended",
                (rule("status", status=status, shape=shape, field=HOURS),),
            )
            for status, shape in ((400, "code"), (422, "error_message"), (422, "fault"))
        )
        + tuple(
            Case(
                f"{status}-always",
                "failed",
                (rule("status", ALWAYS, status=status, field=HOURS),),
                says=str(status),
            )
            for status in (400, 422)
        ),
    )
    waits = ("seconds", "date", "next", "ratelimit", "none")
    yield Fault(
        "429 with seconds, an HTTP date, `nextAccessTime`, `x-ratelimit-reset` or nothing",
        place,
        "All requests wait as long as is asked, then go on; an hour is left to a later run.",
        tuple(
            Case(
                f"{wait}",
                "mended",
                (rule("status", status=429, wait=wait, seconds=1, times=2, skip=number),),
            )
            for number, wait in enumerate(waits)
        )
        + (
            Case(
                "always",
                "failed",
                (rule("status", ALWAYS, status=429, wait="seconds", seconds=1, field=FIRST),),
                says="429",
                fresh=True,
            ),
            Case(
                "an-hour",
                "failed",
                (rule("status", ALWAYS, status=429, wait="seconds", seconds=3600),),
                says="429",
                fresh=True,
            ),
        ),
    )
    yield Fault(
        "500, 502, 503, 504",
        place,
        "Asked again with back-off, then in smaller requests; what stays fails.",
        tuple(
            Case(
                f"{status}-{shape}",
                "mended",
                (rule("status", status=status, shape=shape, times=2, skip=number),),
            )
            for number, (status, shape) in enumerate(
                ((500, "code"), (502, "error_message"), (503, "fault"), (504, "code"))
            )
        )
        + (
            Case("always-first", "failed", (rule("status", ALWAYS, field=FIRST),), says="503"),
            Case("always-pages", "failed", (rule("status", ALWAYS, field=PAGES),), says="503"),
        ),
    )
    yield Fault(
        "a limit on complexity",
        place,
        "Requests become smaller; a limit that no question passes is named.",
        (
            Case("three", "mended", (rule("complexity", ALWAYS, size=3),)),
            Case("one", "mended", (rule("complexity", ALWAYS, size=1),)),
            Case("422-two", "mended", (rule("complexity", ALWAYS, size=2, status=422),)),
            Case("none", "failed", (rule("complexity", ALWAYS, size=0),), says="TOO COMPLEX"),
        ),
    )


def _transport() -> Iterator[Fault]:
    place = "connection"
    yield Fault(
        "reset",
        place,
        "Asked again with back-off; what stays fails.",
        (
            *once("reset"),
            *always("reset", "failed", "could not be asked"),
        ),
    )
    yield Fault(
        "hangs",
        place,
        "Given up after RequestSeconds, and asked again.",
        (
            *once("hang"),
            Case(
                "always",
                "failed",
                (rule("hang", ALWAYS, field=FIRST),),
                says="could not be asked",
            ),
        ),
    )
    yield Fault(
        "slow answers and slow drips",
        place,
        "What comes in time is taken; a drip is cut off by the limit on the whole.",
        (
            Case("slow", "mended", (rule("slow", ALWAYS, seconds=0.3),)),
            Case("drip", "mended", (rule("drip", seconds=2),)),
            Case("long-drip", "mended", (rule("drip", seconds=60, skip=1),)),
            Case(
                "drip-always",
                "failed",
                (rule("drip", ALWAYS, seconds=24, field=FIRST),),
                says="took longer",
            ),
        ),
    )


def _bodies() -> Iterator[Fault]:
    place = "answer's body"
    for fault, name in (
        ("truncated", "truncated, whole by its length"),
        ("cut", "breaks off"),
        ("invalid_json", "invalid JSON"),
        ("html", "HTML"),
        ("empty", "empty"),
        ("gzip_unannounced", "gzip that is not announced"),
    ):
        says = "could not be asked" if fault == "cut" else "no GraphQL reply"
        yield Fault(
            name,
            place,
            "Asked for again; what stays so fails, and the body is kept in quarantine."
            if fault != "cut"
            else "Asked for again; what stays so fails.",
            (*once(fault), *always(fault, "failed", says)),
        )
    yield Fault("gzip", place, "Read.", (Case("always", "mended", (rule("gzip", ALWAYS),)),))


def _data() -> Iterator[Fault]:
    place = "answer's data"
    yield Fault(
        "`data: null`",
        place,
        "Asked for again; what stays so fails. A null is never a 0.",
        (*once("data_null"), *always("data_null", "failed", "neither data nor errors")),
    )
    yield Fault(
        "errors beside partial data",
        place,
        "The partitions of what failed fail, all others are exported.",
        (
            *always("field_error", "failed", "GraphQL says: internal", FIELDS),
            Case(
                "some",
                "failed",
                (rule("field_error", field=HOURS, only=1),),
                says="GraphQL says: internal",
            ),
        ),
    )
    unusable = {
        "wrong_granularity": ("another granularity", "failed", "was asked for", (HOURS, FIVES)),
        "field_null": ("null for a field", "failed", "is null", (PAGES, HOURS)),
        "wrong_type": ("wrong types", "person", "Expected", FIELDS),
        "huge_int": (
            "numbers beyond 64 bits",
            "person",
            "Expected|integer|out of range",
            (HOURS, PAGES, NUMBER),
        ),
        "nan": ("NaN", "failed", "no GraphQL reply", (HOURS, NUMBER)),
        "missing_field": ("a field is missing", "person", "missing required", (LIST, HOURS, PAGES)),
        "null_item": ("null among the rows", "person", "null", (HOURS, PAGES)),
        "wrong_time": ("a time that is none", "failed", "not an ISO-8601 time", (HOURS, FIVES)),
    }
    for fault, (name, outcome, says, fields) in unusable.items():
        yield Fault(
            name,
            place,
            "Never stored: the partition fails, the answer is kept in quarantine."
            if fault != "wrong_granularity"
            else "Never stored: the partition fails.",
            tuple(always(fault, outcome, says, fields)),  # type: ignore[arg-type]
        )
    yield Fault(
        "a field that nobody asked for",
        place,
        "Left out, and counted in a metric.",
        tuple(
            Case(f"{name}", "mended", (rule("extra_field", ALWAYS, field=name),))
            for name in (FIRST, HOURS, PAGES)
        ),
    )
    yield Fault(
        "rows twice",
        place,
        "Of hours: asked for again; what stays so fails. In a list they are one.",
        (
            Case("list-first", "mended", (rule("duplicate_rows", ALWAYS, field=FIRST),)),
            Case("list", "mended", (rule("duplicate_rows", ALWAYS, field=LIST),)),
            Case("hours-once", "mended", (rule("duplicate_rows", field=HOURS, only=1),)),
            *always("duplicate_rows", "failed", "twice|add up", (HOURS, FIVES)),
        ),
    )
    yield Fault(
        "the source has forgotten",
        place,
        "A past day is not replaced by less: the row `kept` of the ledger says why.",
        by="test_what_the_source_has_forgotten_is_kept",
    )


def _pages() -> Iterator[Fault]:
    place = "pages"
    yield Fault(
        "shrink, grow, repeat rows, do not add up",
        place,
        "All pages are asked for again; what does not add up twice fails and is not stored.",
        tuple(
            case
            for number, (fault, size) in enumerate(
                (
                    ("wrong_total", 3),
                    ("wrong_total", -1000),
                    ("duplicate_rows", 0),
                    ("missing_rows", 0),
                )
            )
            for case in (
                Case(
                    f"{fault}{size or ''}-once",
                    "mended",
                    (rule(fault, field=PAGES, size=size, only=1, skip=number % 2),),
                ),
                Case(
                    f"{fault}{size or ''}-always",
                    "failed",
                    (rule(fault, ALWAYS, field=PAGES, size=size),),
                    says="do not add up",
                ),
            )
        ),
    )
    yield Fault(
        "rows arrive while pages are read",
        place,
        "As above; in the end each row is there once.",
        by="test_rows_that_arrive_between_the_questions",
    )


def _s3() -> Iterator[Fault]:
    place = "S3"
    operations = ("ListObjectsV2", "GetObject", "PutObject")
    yield Fault(
        "errors and throttles that pass",
        place,
        "Asked again with back-off.",
        tuple(
            Case(f"{operation}-{code}", "mended", aws=(aws_error("s3", operation, code, status),))
            for operation in operations
            for code, status in (("SlowDown", 503), ("InternalError", 500))
        )
        + (
            Case(
                "PutObject-RequestTimeout",
                "mended",
                aws=(aws_error("s3", "PutObject", "RequestTimeout", 400),),
            ),
        ),
    )
    yield Fault(
        "errors and throttles that stay",
        place,
        "The partition fails, all others are exported; without the listing the run fails.",
        (
            Case(
                "PutObject",
                "failed",
                aws=(aws_error("s3", "PutObject", "SlowDown", 503, ALWAYS, has="/apis/"),),
                says="SlowDown",
            ),
            Case(
                "GetObject",
                "failed",
                aws=(
                    aws_error(
                        "s3", "GetObject", "InternalError", 500, ALWAYS, has="/total_traffic/"
                    ),
                ),
                says="InternalError",
            ),
            Case(
                "ListObjectsV2",
                "failed",
                aws=(aws_error("s3", "ListObjectsV2", "SlowDown", 503, ALWAYS),),
                says="SlowDown",
            ),
            Case(
                "ledger",
                "failed",
                aws=(aws_error("s3", "PutObject", "SlowDown", 503, ALWAYS, has="/runs/"),),
                says="runs/.*SlowDown",
            ),
        ),
    )
    yield Fault(
        "access denied, no bucket",
        place,
        "Named with what to do, and not tried again for denied access.",
        tuple(
            Case(
                operation,
                "person" if operation != "ListObjectsV2" else "failed",
                aws=(aws_error("s3", operation, "AccessDenied", 403, ALWAYS),),
                says="AccessDenied.*Deploy the stack",
            )
            for operation in operations
        )
        + (
            Case(
                "NoSuchBucket",
                "failed",
                aws=(aws_error("s3", "PutObject", "NoSuchBucket", 404, ALWAYS, has="/apis/"),),
                says="NoSuchBucket",
            ),
        ),
    )
    yield Fault(
        "connections that break, HTML in place of an answer",
        place,
        "Asked again.",
        tuple(
            Case(f"{operation}-reset", "mended", aws=(Rule("reset", "s3", operation, times=2),))
            for operation in operations
        )
        + (
            Case("ListObjectsV2-cut", "mended", aws=(Rule("cut", "s3", "ListObjectsV2"),)),
            Case(
                "PutObject-502",
                "mended",
                aws=(Rule("garbage", "s3", "PutObject", status=502, times=2),),
            ),
            Case("GetObject-cut", "mended", aws=(Rule("cut", "s3", "GetObject"),)),
        ),
    )
    yield Fault(
        "an answer lost after the object was written",
        place,
        "The attempt that follows finds the object changed, sees that it is its own, and is done.",
        (
            Case("data", "mended", aws=(Rule("lost", "s3", "PutObject", has="/apis/"),)),
            Case("past-day", "mended", aws=(Rule("lost", "s3", "PutObject", has="/resource_"),)),
            Case("ledger", "mended", aws=(Rule("lost", "s3", "PutObject", has="/runs/"),)),
        ),
    )
    yield Fault(
        "another writer is faster (412, 409)",
        place,
        "Looked at again: the newer answer stays.",
        tuple(
            Case(code, "mended", aws=(aws_error("s3", "PutObject", code, status, 1, has="/day="),))
            for code, status in (("PreconditionFailed", 412), ("ConditionalRequestConflict", 409))
        ),
    )
    yield Fault(
        "hangs",
        place,
        "Given up after 15 seconds, and asked again.",
        tuple(
            Case(operation, "mended", aws=(Rule("hang", "s3", operation, seconds=60),), soak=True)
            for operation in operations
        ),
    )


def _ssm() -> Iterator[Fault]:
    place = "Parameter Store"
    both = ("GetParameter", "PutParameter")
    yield Fault(
        "errors and throttles that pass, connections that break",
        place,
        "Asked again with back-off.",
        tuple(
            Case(f"{operation}-{code}", "mended", aws=(aws_error("ssm", operation, code, status),))
            for operation in both
            for code, status in (("ThrottlingException", 400), ("InternalServerError", 500))
        )
        + tuple(
            Case(f"{operation}-reset", "mended", aws=(Rule("reset", "ssm", operation, times=2),))
            for operation in both
        )
        + (
            Case("GetParameter-cut", "mended", aws=(Rule("cut", "ssm", "GetParameter"),)),
            Case(
                "GetParameter-502",
                "mended",
                aws=(Rule("garbage", "ssm", "GetParameter", status=502, times=2),),
            ),
            Case(
                "hang", "mended", aws=(Rule("hang", "ssm", "PutParameter", seconds=30),), soak=True
            ),
        ),
    )
    yield Fault(
        "errors, throttles and denials that stay",
        place,
        "The run fails and names the parameter; for denied access it says what to do.",
        (
            Case(
                "GetParameter-throttled",
                "failed",
                aws=(aws_error("ssm", "GetParameter", "ThrottlingException", 400, ALWAYS),),
                says="/token/.*ThrottlingException",
            ),
            Case(
                "PutParameter-error",
                "failed",
                aws=(aws_error("ssm", "PutParameter", "InternalServerError", 500, ALWAYS),),
                says="/mint/.*InternalServerError",
            ),
            Case(
                "GetParameter-denied",
                "person",
                aws=(aws_error("ssm", "GetParameter", "AccessDeniedException", 400, ALWAYS),),
                says="AccessDenied.*Deploy the stack",
            ),
            Case(
                "PutParameter-denied",
                "person",
                aws=(aws_error("ssm", "PutParameter", "AccessDeniedException", 400, ALWAYS),),
                says="AccessDenied.*Deploy the stack",
            ),
        ),
    )
    yield Fault(
        "an answer lost after the parameter was written",
        place,
        "A claim whose answer was lost is known again; there is still one mint at a time.",
        (
            Case("claim", "mended", aws=(Rule("lost", "ssm", "PutParameter", has="/mint/"),)),
            Case("token", "mended", aws=(Rule("lost", "ssm", "PutParameter", has="/token/"),)),
        ),
    )


def _kms() -> Iterator[Fault]:
    place = "KMS (through Parameter Store)"
    decrypting, encrypting = "WithDecryption", "SecureString"
    yield Fault(
        "throttled, or failing for a moment",
        place,
        "Asked again with back-off.",
        tuple(
            Case(
                f"{operation}-{code}",
                "mended",
                aws=(aws_error("ssm", operation, code, status, has=has),),
            )
            for operation, has in (("GetParameter", decrypting), ("PutParameter", encrypting))
            for code, status in (("ThrottlingException", 400), ("InternalServerError", 500))
        ),
    )
    yield Fault(
        "the key is disabled, or may not be used",
        place,
        "Named; no token is stored in the clear.",
        (
            Case(
                "decrypt",
                "person",
                aws=(
                    aws_error(
                        "ssm", "GetParameter", "AccessDeniedException", 400, ALWAYS, has=decrypting
                    ),
                ),
                says="AccessDenied",
            ),
            Case(
                "encrypt",
                "person",
                aws=(
                    aws_error(
                        "ssm", "PutParameter", "AccessDeniedException", 400, ALWAYS, has=encrypting
                    ),
                ),
                says="storing the token.*AccessDenied",
                settled_by=_store_secret,
            ),
            Case(
                "disabled",
                "failed",
                aws=(
                    aws_error("ssm", "PutParameter", "InvalidKeyId", 400, ALWAYS, has=encrypting),
                ),
                says="storing the token.*InvalidKeyId",
            ),
        ),
    )


def _secrets() -> Iterator[Fault]:
    place, service, operation = "Secrets Manager", "secretsmanager", "GetSecretValue"
    yield Fault(
        "errors and throttles that pass, connections that break",
        place,
        "Asked again with back-off.",
        tuple(
            Case(code, "mended", aws=(aws_error(service, operation, code, status),))
            for code, status in (("ThrottlingException", 400), ("InternalServiceError", 500))
        )
        + (
            Case("reset", "mended", aws=(Rule("reset", service, operation, times=2),)),
            Case("cut", "mended", aws=(Rule("cut", service, operation),)),
        ),
    )
    yield Fault(
        "errors, throttles and denials that stay, no secret",
        place,
        "The run names the secret; where it is missing or denied, what to do.",
        tuple(
            Case(
                code,
                outcome,  # type: ignore[arg-type]
                aws=(aws_error(service, operation, code, status, ALWAYS),),
                says=says,
            )
            for code, status, outcome, says in (
                ("ThrottlingException", 400, "failed", "reading secret.*Throttling"),
                ("InternalServiceError", 500, "failed", "reading secret.*InternalService"),
                ("DecryptionFailure", 400, "failed", "reading secret.*DecryptionFailure"),
                ("AccessDeniedException", 400, "person", "AccessDenied.*Deploy the stack"),
                ("ResourceNotFoundException", 400, "person", "no secret.*make secret"),
            )
        ),
    )


def _lambda() -> Iterator[Fault]:
    place = "Lambda (the token function)"
    yield Fault(
        "errors and throttles that pass, an answer that is lost",
        place,
        "Asked again; a second mint is not made.",
        (
            Case(
                "throttled",
                "mended",
                aws=(aws_error("lambda", "Invoke", "TooManyRequestsException", 429, 3),),
            ),
            Case("500", "mended", aws=(aws_error("lambda", "Invoke", "ServiceException", 500),)),
            Case("reset", "mended", aws=(Rule("reset", "lambda", "Invoke", times=2),)),
            Case("lost", "mended", aws=(Rule("lost", "lambda", "Invoke"),)),
        ),
    )
    yield Fault(
        "errors, throttles and denials that stay",
        place,
        "The run fails and names the function.",
        (
            Case(
                "throttled",
                "failed",
                aws=(aws_error("lambda", "Invoke", "TooManyRequestsException", 429, ALWAYS),),
                says="asking .* for a token failed",
                soak=True,
            ),
            Case(
                "500",
                "failed",
                aws=(aws_error("lambda", "Invoke", "ServiceException", 500, ALWAYS),),
                says="asking .* for a token failed",
            ),
            Case(
                "denied",
                "person",
                aws=(aws_error("lambda", "Invoke", "AccessDeniedException", 403, ALWAYS),),
                says="AccessDenied.*Deploy the stack",
            ),
        ),
    )


def _processes() -> Iterator[Fault]:
    place = "the functions' processes"
    yield Fault(
        "the export is killed at any point",
        place,
        "What was written is whole; the next run does the rest.",
        by="test_the_export_killed_at_any_point",
    )
    yield Fault(
        "the token function is killed at any point",
        place,
        "The export's run fails or asks again; a lease that nobody gives back ends by itself.",
        by="test_the_token_function_killed_at_any_point",
    )
    yield Fault(
        "little time is left",
        place,
        "The run stops in time and says how much remains; a fresh invocation goes on.",
        by="test_little_time",
    )


def _events() -> Iterator[Fault]:
    place = "events"
    yield Fault(
        "the same event twice",
        place,
        "The second run finds what the first wrote: the same rows.",
        by="test_the_same_event_twice",
    )
    yield Fault(
        "two runs at once",
        place,
        "Conditional writes: the answer that was asked for later stays, each row once.",
        by="test_two_runs_at_once",
    )
    yield Fault(
        "a run that is overtaken by a newer one",
        place,
        "It does not overwrite the newer answer.",
        by="test_a_run_that_is_overtaken",
    )


def _clocks() -> Iterator[Fault]:
    place = "clock"
    yield Fault(
        "wrong by ten minutes, ahead or behind, in either function or both",
        place,
        "Days, tokens and leases stay right: what counts is S3's and the token service's time.",
        by="test_a_clock_that_is_wrong",
    )
    yield Fault(
        "so wrong that AWS refuses it",
        place,
        "The run fails and names what was refused.",
        by="test_a_clock_that_aws_refuses",
    )


def _deployed() -> Iterator[Fault]:
    yield Fault(
        "throttles, killed functions and tokens, two invocations at once",
        "the deployed stack",
        "As above, in the functions as they are deployed.",
        by="test_the_deployed_functions",
    )
    yield Fault(
        "several of all these at random",
        "everywhere",
        "Whatever happened, the next run makes the dataset right.",
        by="test_faults_at_random",
    )


FAULTS: tuple[Fault, ...] = tuple(
    fault
    for part in (
        _token_service,
        _tokens,
        _gateway,
        _transport,
        _bodies,
        _data,
        _pages,
        _s3,
        _ssm,
        _kms,
        _secrets,
        _lambda,
        _processes,
        _events,
        _clocks,
        _deployed,
    )
    for fault in part()
)
