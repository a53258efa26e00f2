"""Faults of Choreo's token service and its Insights API."""

from collections.abc import Iterator

from tests.faults.cases import (
    ALWAYS,
    FIELDS,
    FIRST,
    FIVES,
    HOURS,
    LIST,
    PAGES,
    SHAPES,
    Case,
    Fault,
    Outcome,
    once,
    rarely,
    rule,
    status,
    stays,
    store_secret,
    token,
)


def token_service() -> Iterator[Fault]:
    """Where tokens are minted."""
    place = "token service"
    yield Fault(
        place,
        "down",
        "Retried with back-off; where it stays down the partitions fail, and the next run mints.",
        [
            Case("reset", "recovered", (token("reset", 1),)),
            Case("reset-always", "failed", (token("reset"),), says="could not be reached"),
            Case("503", "recovered", (token("status", 1, status=503),)),
            *rarely(Case("503-always", "failed", (token("status", status=503),), says="503")),
        ],
    )
    yield Fault(
        place,
        "slow, hanging, dripping",
        "A limit on each attempt and on the whole; retried within the lease of one mint.",
        [
            Case("slow", "recovered", (token("slow", 1, seconds=2),)),
            Case("drip", "recovered", (token("drip", 1, seconds=2),)),
            *rarely(
                Case("hang", "recovered", (token("hang", 1),)),
                Case("hang-always", "failed", (token("hang"),), says="no token"),
                Case("drip-always", "failed", (token("drip", seconds=60),), says="no token"),
            ),
        ],
    )
    says = "without an access_token"
    yield Fault(
        place,
        "wrong JSON, HTML, nothing: a success without a token",
        "Never taken for a token: the partitions fail, and name the setting TokenUrl.",
        [
            Case("invalid_json", "failed", (token("invalid_json"),), says=says),
            Case("html", "failed", (token("html"),), says=says),
            *rarely(
                *(
                    Case(name, "failed", (token(name),), says=says)
                    for name in ("not_json", "empty", "truncated", "gzip_unannounced")
                )
            ),
        ],
    )
    yield Fault(
        place,
        "a response that breaks off, or is compressed",
        "A broken one is retried; gzip is read.",
        [
            Case("cut", "recovered", (token("cut", 1),)),
            Case("gzip", "recovered", (token("gzip"),)),
        ],
    )
    yield Fault(
        place,
        "no `expires_in`, or a senseless one",
        "The token counts for 300 seconds.",
        [
            Case("without", "recovered", (token("no_expires_in"),)),
            Case("senseless", "recovered", (token("wrong_expires_in"),)),
        ],
    )
    refused = (token("invalid_client"),)
    yield Fault(
        place,
        "`invalid_client`, 403",
        "A person is asked to store the credentials, which ends it at once; until then a refusal "
        "is remembered for a minute.",
        [
            Case("401", "person", refused, says="make secret ORG=", settled_by=store_secret),
            Case(
                "403",
                "person",
                (token("status", status=403),),
                says="403.*TokenUrl",
                settled_by=store_secret,
            ),
        ],
    )
    yield Fault(
        place,
        "429",
        "Waited for, if the wait is short.",
        [
            Case(
                "seconds",
                "recovered",
                (token("status", 1, status=429, wait="seconds", seconds=1),),
            )
        ],
    )
    yield Fault(
        place,
        "tokens of 5 KB and of 9 KB",
        "5 KB are kept, in an advanced parameter; over 8 KB cannot be: a person must act.",
        [
            Case("5-KB", "recovered", (token("token_size", size=5_000),)),
            Case(
                "9-KB",
                "person",
                (token("token_size", size=9_000),),
                says="Parameter Store holds 8192",
                settled_by=store_secret,
            ),
        ],
    )


def tokens() -> Iterator[Fault]:
    """Tokens that are in use."""
    place = "token in use"
    yield Fault(
        place,
        "killed in the middle of a run",
        "401: the cache is read again, then one new token is minted; no partition is lost.",
        [
            Case("once", "recovered", (rule("kill_tokens", skip=2),)),
            Case("twice", "recovered", (rule("kill_tokens", skip=1), rule("kill_tokens", skip=3))),
            Case("each", "person", (rule("kill_tokens", ALWAYS),), says="token", fresh=True),
        ],
    )
    yield Fault(
        place,
        "401 in each of the gateway's three shapes",
        "As above; where every token is refused, a person must check the subscription.",
        [
            *(Case(shape, "recovered", (status(401, shape=shape, skip=1),)) for shape in SHAPES),
            *(
                Case(
                    f"{shape}-always",
                    "person",
                    (status(401, ALWAYS, shape=shape),),
                    says="check the application's subscription",
                    fresh=True,
                    soak=shape != "fault",
                )
                for shape in SHAPES
            ),
        ],
    )


def gateway() -> Iterator[Fault]:
    """Errors of the gateway before the Insights API."""
    place = "gateway"
    yield Fault(
        place,
        "403, 404, 410 in each of the three shapes",
        "Not retried: a person must act, and the error says how.",
        [
            Case(
                f"{number}-{shape}",
                "person",
                (status(number, ALWAYS, shape=shape, skip=skip),),
                says=f"{number}.*{says}",
                soak=skip != own,
            )
            for own, (number, says) in enumerate(
                ((403, "subscribe"), (404, "address"), (410, "address"))
            )
            for skip, shape in enumerate(SHAPES)
        ],
    )
    yield Fault(
        place,
        "400, 422: the request is refused",
        "Retried in smaller requests, down to single queries; what is refused alone fails.",
        [
            Case("400", "recovered", (status(400, field=HOURS),)),
            Case("422", "recovered", (status(422, field=HOURS, shape="fault"),)),
            Case("422-always", "failed", (status(422, ALWAYS, field=HOURS),), says="422"),
            *rarely(
                Case("400-always", "failed", (status(400, ALWAYS, field=PAGES),), says="400"),
                Case("413", "recovered", (status(413, field=HOURS, shape="error_message"),)),
            ),
        ],
    )
    hour = (status(429, ALWAYS, wait="seconds", seconds=3600),)
    second = (status(429, ALWAYS, wait="seconds", seconds=1, field=FIRST),)
    waits = ("seconds", "date", "next", "ratelimit", "none")
    yield Fault(
        place,
        "429 with seconds, an HTTP date, `nextAccessTime`, `x-ratelimit-reset` or nothing",
        "All requests wait as long as asked, then go on; a wait of an hour is a failure.",
        [
            *(
                Case(wait, "recovered", (status(429, wait=wait, seconds=1, skip=number),))
                for number, wait in enumerate(waits)
            ),
            Case("an-hour", "failed", hour, says="429", fresh=True),
            *rarely(Case("always", "failed", second, says="429", fresh=True)),
        ],
    )
    # By the default clock of a gateway: an instant since 1970, and ten years in seconds.
    years = (status(429, ALWAYS, wait="seconds", seconds=315_360_000),)
    yield Fault(
        place,
        "429 with an instant since 1970 in Retry-After, or with ten years",
        "An instant is recognised. A wait that is longer than the run fails it; no wait outlives "
        "the invocation, so the same container exports everything next time.",
        [
            Case("epoch", "recovered", (status(429, wait="epoch", seconds=1),)),
            Case("ten-years", "failed", years, says="429|asked to wait"),
        ],
    )
    yield Fault(
        place,
        "throttling inside HTTP 200",
        "The same as a 429: no smaller requests, no further load.",
        [
            Case("once", "recovered", (rule("throttled_200", skip=1),)),
            Case("always", "failed", (rule("throttled_200", ALWAYS),), says="Rate limit exceeded"),
        ],
    )
    yield Fault(
        place,
        "500, 502, 503, 504 in each of the three shapes",
        "Retried with back-off, then in smaller requests; what stays fails.",
        [
            Case("500", "recovered", (status(500, 2),)),
            Case("502", "recovered", (status(502, 2, shape="error_message", skip=2),)),
            Case("503", "recovered", (status(503, 2, shape="fault", skip=3, wait="seconds"),)),
            Case("503-always", "failed", (status(503, ALWAYS, field=FIRST),), says="503"),
            *rarely(
                Case("504", "recovered", (status(504, 2, skip=1),)),
                Case("500-pages", "failed", (status(500, ALWAYS, field=PAGES),), says="500"),
            ),
        ],
    )
    yield Fault(
        place,
        "a limit on complexity",
        "Requests become smaller; a limit that no query passes is named.",
        [
            Case("three", "recovered", (rule("complexity", ALWAYS, size=3),)),
            Case("none", "failed", (rule("complexity", ALWAYS, size=0),), says="TOO COMPLEX"),
            *rarely(
                Case("one", "recovered", (rule("complexity", ALWAYS, size=1),)),
                Case("422-two", "recovered", (rule("complexity", ALWAYS, size=2, status=422),)),
            ),
        ],
    )


def connection() -> Iterator[Fault]:
    """How responses travel."""
    place = "connection"
    yield Fault(
        place,
        "reset",
        "Retried with back-off; what stays fails.",
        [*once("reset"), *stays("reset", "failed", "could not be reached", (FIRST, PAGES))],
    )
    yield Fault(
        place,
        "hangs",
        "Given up after RequestSeconds, and retried; what stays fails.",
        [
            Case("hang", "recovered", (rule("hang", skip=2),)),
            *stays("hang", "failed", "took longer", (FIRST,)),
        ],
    )
    yield Fault(
        place,
        "slow responses and slow drips",
        "What comes in time is taken; a drip is cut off by the limit on the whole.",
        [
            Case("slow", "recovered", (rule("slow", ALWAYS, seconds=0.3),)),
            Case("drip", "recovered", (rule("drip", seconds=2),)),
            Case("long-drip", "recovered", (rule("drip", seconds=24, skip=1),)),
            *rarely(*stays("drip", "failed", "took longer", (FIRST,), seconds=24)),
        ],
    )


def bodies() -> Iterator[Fault]:
    """Responses that are no GraphQL responses."""
    place = "response body"
    for fault, name in (
        ("truncated", "truncated, whole by its length"),
        ("invalid_json", "invalid JSON"),
        ("html", "HTML"),
        ("empty", "empty"),
        ("gzip_unannounced", "gzip that is not announced"),
    ):
        yield Fault(
            place,
            name,
            "Retried; what stays so fails, and the body is kept in quarantine.",
            [*once(fault), *stays(fault, "failed", "not a GraphQL reply")],
        )
    yield Fault(
        place,
        "breaks off",
        "Retried; what stays so fails.",
        [*once("cut"), *stays("cut", "failed", "could not be reached")],
    )
    yield Fault(
        place,
        "JSON of 100,000 levels",
        "Refused before it takes memory, and retried; what stays so fails, and the body is kept in "
        "quarantine.",
        [*once("deep"), *stays("deep", "failed", "nested too deeply")],
    )
    yield Fault(place, "gzip", "Read.", [Case("gzip", "recovered", (rule("gzip", ALWAYS),))])


def data() -> Iterator[Fault]:
    """Responses whose data is not as it should be."""
    place = "response data"
    yield Fault(
        place,
        "`data: null`",
        "Retried; what stays so fails. A null is never a 0.",
        [*once("data_null"), *stays("data_null", "failed", "neither data nor errors")],
    )
    yield Fault(
        place,
        "errors beside partial data",
        "The partitions of what failed fail, all others are exported.",
        [
            Case("one", "failed", (rule("field_error", field=HOURS, only=1),), says="GraphQL says"),
            *stays("field_error", "failed", "GraphQL says: internal", FIELDS),
        ],
    )
    kept = "Never stored: the partition fails, and the response is kept in quarantine."
    unusable: tuple[tuple[str, str, Outcome, str, tuple[str, ...]], ...] = (
        ("field_null", "null for a field", "failed", "is null", (PAGES, HOURS)),
        ("wrong_type", "wrong types", "person", "Expected", (HOURS, *FIELDS)),
        ("huge_int", "numbers beyond 64 bits", "person", "Expected", (HOURS, PAGES)),
        ("nan", "NaN", "failed", "not a GraphQL reply", (HOURS, PAGES)),
        ("missing_field", "a field is missing", "person", "missing required", (PAGES, LIST, HOURS)),
        ("null_item", "null among the rows", "person", "null", (HOURS, PAGES)),
        ("wrong_time", "a time that is none", "failed", "not an ISO-8601 time", (HOURS, FIVES)),
    )
    for fault, name, outcome, says, fields in unusable:
        yield Fault(place, name, kept, [*stays(fault, outcome, says, dict.fromkeys(fields))])
    yield Fault(
        place,
        "another granularity than was queried",
        "Never stored: the partition fails.",
        [*stays("wrong_granularity", "failed", "was requested", (HOURS, FIVES))],
    )
    yield Fault(
        place,
        "a field that was not queried",
        "Left out, and counted in a metric.",
        [
            Case(name, "recovered", (rule("extra_field", ALWAYS, field=name),), soak=name != HOURS)
            for name in (FIRST, HOURS, PAGES)
        ],
    )
    yield Fault(
        place,
        "rows twice",
        "In a list they are one. Hours are queried again; what stays so fails.",
        [
            Case("first", "recovered", (rule("duplicate_rows", ALWAYS, field=FIRST),)),
            Case("hours", "recovered", (rule("duplicate_rows", field=HOURS, only=1),)),
            *stays("duplicate_rows", "failed", "twice in one series", (HOURS, FIVES)),
            *rarely(Case("list", "recovered", (rule("duplicate_rows", ALWAYS, field=LIST),))),
        ],
    )
    yield Fault(
        place,
        "the source has forgotten",
        "No day is replaced by less: the ledger has it as `kept`, and why.",
        by="test_what_the_source_has_forgotten_is_kept",
    )


def organizations() -> Iterator[Fault]:
    """What the lists of an organisation say."""
    place = "lists"
    yield Fault(
        place,
        "the list of environments or of APIs is empty, although there are some",
        "A failure, not a fact: a person must check. Nothing is forgotten.",
        [
            Case(
                "environments",
                "person",
                (rule("forgotten", ALWAYS, field=FIRST),),
                says="list of .* is empty",
            ),
            Case(
                "apis",
                "person",
                (rule("forgotten", ALWAYS, field=LIST),),
                says="list of .* is empty",
            ),
        ],
    )
    yield Fault(
        place,
        "an environment is renamed",
        "Its key stays, its rows have the new name, and nothing is stored twice.",
        by="test_an_environment_is_renamed",
    )
    yield Fault(
        place,
        "an API is deleted, and the service refuses to answer for it",
        "Its stored rows stay, all others are exported, and nothing fails.",
        by="test_an_api_is_deleted_and_refused",
    )


def pages() -> Iterator[Fault]:
    """Lists that come in parts."""
    place = "pages"
    spoiled = (("wrong_total", 3), ("wrong_total", -1000), ("duplicate_rows", 0),
               ("missing_rows", 0))  # fmt: skip
    yield Fault(
        place,
        "shrink, grow, repeat rows, do not add up",
        "All pages are queried again; what does not add up twice fails, and is not stored.",
        [
            *(
                Case(f"{fault}{size}", "recovered", (rule(fault, field=PAGES, size=size, only=1),))
                for fault, size in spoiled
            ),
            *(
                Case(
                    f"{fault}{size}-always",
                    "failed",
                    (rule(fault, ALWAYS, field=PAGES, size=size),),
                    says="do not add up",
                    soak=size < 0,
                )
                for fault, size in spoiled
            ),
        ],
    )
    huge, says = {"field": PAGES, "size": 9_000_000_000_000_000}, "pages are not read"
    yield Fault(
        place,
        "a total of 9·10¹⁵ rows",
        "Refused by a limit that is named, without a request or memory for each page.",
        [
            Case("always", "failed", (rule("wrong_total", ALWAYS, **huge),), says=says),
        ],
    )
    yield Fault(
        place,
        "rows arrive while pages are read",
        "As above; in the end each row is there once.",
        by="test_rows_that_arrive_between_the_questions",
    )
