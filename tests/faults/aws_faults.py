"""Faults of AWS, which the emulator does not have: the proxy injects them."""

from collections.abc import Iterator

from choreo_insights.dataset.store import VERSION_KEY
from tests.faults.cases import (
    ALWAYS,
    PARTITIONS,
    Case,
    Fault,
    Outcome,
    aws,
    error,
    forget_registry,
    rarely,
    store_secret,
)

_RETRIED = "Retried with back-off."
_DENIED = "AccessDenied.*Deploy the stack"
# What a run reads to compare it: the past day.
_PAST = "/success_summary/"
_DATASET, _SLOTS, _REGISTRY = "/insights/", "/state/budget/", "/registry_environments/"
_LIST, _GET, _PUT = "s3:ListObjectsV2", "s3:GetObject", "s3:PutObject"
_CONFLICT, _BUSY = "PreconditionFailed", "ConditionalRequestConflict"


def s3() -> Iterator[Fault]:
    """Where the dataset is."""
    yield from _s3_errors()
    yield from _s3_connections()
    yield from _s3_conflicts()


def _s3_errors() -> Iterator[Fault]:
    place = "S3"
    yield Fault(
        place,
        "errors and throttles that pass",
        _RETRIED,
        [
            Case("list", "recovered", aws=error(_LIST, "SlowDown", 503)),
            Case("get", "recovered", aws=error(_GET, "InternalError", 500, has=_PAST)),
            Case("version", "recovered", aws=error(_GET, "InternalError", 500, has=VERSION_KEY)),
            Case("put", "recovered", aws=error(_PUT, "SlowDown", 503, 3, has=_DATASET)),
            Case("slot", "recovered", aws=error(_PUT, "SlowDown", 503, has=_SLOTS)),
            *rarely(
                Case("list-500", "recovered", aws=error(_LIST, "InternalError", 500)),
                Case("get-503", "recovered", aws=error(_GET, "SlowDown", 503, has=_PAST)),
                Case("put-500", "recovered", aws=error(_PUT, "InternalError", 500, has=_DATASET)),
                Case("put-400", "recovered", aws=error(_PUT, "RequestTimeout", 400, has=_DATASET)),
                Case("registry", "recovered", aws=error(_GET, "SlowDown", 503, has=_REGISTRY)),
                Case("get-slot", "recovered", aws=error(_GET, "InternalError", 500, has=_SLOTS)),
            ),
        ],
    )
    listing = error(_LIST, "SlowDown", 503, ALWAYS)
    put = error(_PUT, "SlowDown", 503, ALWAYS, has="/apis/")
    lists = error(_PUT, "SlowDown", 503, ALWAYS, has="/environments/")
    get = error(_GET, "InternalError", 500, ALWAYS, has=_PAST)
    ledger = error(_PUT, "SlowDown", 503, ALWAYS, has="/runs/")
    registry = error(_PUT, "SlowDown", 503, ALWAYS, has=_REGISTRY)
    slots = error(_PUT, "SlowDown", 503, ALWAYS, has=_SLOTS)
    yield Fault(
        place,
        "errors and throttles that stay",
        "The partition fails, all others are exported; without the listing or a slot of the "
        "request budget the run raises.",
        [
            Case("put", "failed", aws=put, says="SlowDown", exported=PARTITIONS - 2),
            Case("put-list", "failed", aws=lists, says="SlowDown", exported=PARTITIONS - 1),
            Case("ledger", "failed", aws=ledger, says="runs/.*SlowDown", exported=PARTITIONS),
            Case("slots", "raised", aws=slots, says="state/budget/other.*SlowDown"),
            *rarely(
                Case("get", "failed", aws=get, says="InternalError"),
                Case("list", "raised", aws=listing, says="SlowDown"),
                Case(
                    "registry",
                    "failed",
                    aws=registry,
                    says="registry_environments/.*SlowDown",
                    before=forget_registry,
                ),
            ),
        ],
    )
    denied = "AccessDenied"
    version = f"{VERSION_KEY}.*{_DENIED}"
    yield Fault(
        place,
        "access denied, no bucket",
        "Named, with what to do where access is denied.",
        [
            Case("put", "person", aws=error(_PUT, denied, 403, ALWAYS, has=_DATASET), says=_DENIED),
            Case("list", "raised", aws=error(_LIST, denied, 403, ALWAYS), says=_DENIED),
            *rarely(
                Case(
                    "get", "person", aws=error(_GET, denied, 403, ALWAYS, has=_PAST), says=_DENIED
                ),
                Case(
                    "slots",
                    "raised",
                    aws=error(_PUT, denied, 403, ALWAYS, has=_SLOTS),
                    says=_DENIED,
                ),
                Case(
                    "version",
                    "raised",
                    aws=error(_GET, denied, 403, ALWAYS, has=VERSION_KEY),
                    says=version,
                ),
                Case(
                    "no-bucket",
                    "failed",
                    aws=error(_PUT, "NoSuchBucket", 404, ALWAYS, has="/apis/"),
                    says="NoSuchBucket",
                ),
            ),
        ],
    )


def _s3_connections() -> Iterator[Fault]:
    place = "S3"
    yield Fault(
        place,
        "connections that break, HTML in place of a response",
        "Retried.",
        [
            Case("put-reset", "recovered", aws=aws("reset", _PUT, times=2)),
            Case("get-cut", "recovered", aws=aws("cut", _GET, has=_PAST)),
            *rarely(
                Case("list-reset", "recovered", aws=aws("reset", _LIST, times=2)),
                Case("list-cut", "recovered", aws=aws("cut", _LIST)),
                Case("get-reset", "recovered", aws=aws("reset", _GET, times=2, has=_PAST)),
                Case("version-cut", "recovered", aws=aws("cut", _GET, has=VERSION_KEY)),
                Case("put-502", "recovered", aws=aws("garbage", _PUT, status=502, times=2)),
            ),
        ],
    )
    yield Fault(
        place,
        "a response that is lost after the object was written",
        "The retry finds the object changed, and sees that it is its own.",
        [
            Case("list", "recovered", aws=aws("lost", _PUT, has="/apis/")),
            Case("past-day", "recovered", aws=aws("lost", _PUT, has="/resource_usage/")),
            Case("ledger", "recovered", aws=aws("lost", _PUT, has="/runs/")),
            Case("slot", "recovered", aws=aws("lost", _PUT, has=_SLOTS)),
            *rarely(
                Case(
                    "registry",
                    "recovered",
                    aws=aws("lost", _PUT, has=_REGISTRY),
                    before=forget_registry,
                )
            ),
        ],
    )
    yield Fault(
        place,
        "hangs",
        "Given up after 15 seconds, and retried.",
        [
            *rarely(
                Case("list", "recovered", aws=aws("hang", _LIST, seconds=60)),
                Case("get", "recovered", aws=aws("hang", _GET, seconds=60, has=_PAST)),
                Case("put", "recovered", aws=aws("hang", _PUT, seconds=60, has=_DATASET)),
            )
        ],
    )


def _s3_conflicts() -> Iterator[Fault]:
    place = "S3"
    yield Fault(
        place,
        "another run writes a partition first (412, 409)",
        "Compared again with what is there now: the newer response stays.",
        [
            Case("412", "recovered", aws=error(_PUT, _CONFLICT, 412, 1, has="/apis/")),
            Case("409", "recovered", aws=error(_PUT, _BUSY, 409, 1, has="/resource_usage/")),
        ],
    )
    always = error(_PUT, _CONFLICT, 412, ALWAYS, has="/runs/")
    yield Fault(
        place,
        "another run writes the ledger or the registry first (412, 409)",
        "Read again, and merged or appended again. After many conflicts in a row it fails, and the "
        "next run adds what the ledger lacks.",
        [
            Case("ledger-412", "recovered", aws=error(_PUT, _CONFLICT, 412, 3, has="/runs/")),
            Case(
                "registry-412",
                "recovered",
                aws=error(_PUT, _CONFLICT, 412, 3, has=_REGISTRY),
                before=forget_registry,
            ),
            Case("ledger-always", "failed", aws=always, says="runs/.* written by other runs"),
            *rarely(
                Case("ledger-409", "recovered", aws=error(_PUT, _BUSY, 409, 2, has="/runs/")),
                Case(
                    "names-409",
                    "recovered",
                    aws=error(_PUT, _BUSY, 409, 2, has="/registry_names/"),
                    before=forget_registry,
                ),
                Case(
                    "registry-always",
                    "failed",
                    aws=error(_PUT, _CONFLICT, 412, ALWAYS, has=_REGISTRY),
                    says="registry_environments/.* written by others",
                    before=forget_registry,
                ),
            ),
        ],
    )
    yield Fault(
        place,
        "another run takes the slot of the request budget first (412)",
        "It waits for the slot.",
        [Case("412", "recovered", aws=error(_PUT, _CONFLICT, 412, 1, has=_SLOTS))],
    )


def step_functions() -> Iterator[Fault]:
    """Where a run looks for a catch-up, and hands over what it has no time for."""
    place, get = "Step Functions", "states:ListExecutions"
    yield Fault(
        place,
        "errors and throttles that pass, connections that break",
        _RETRIED,
        [
            Case("throttled", "recovered", aws=error(get, "ThrottlingException", 400)),
            *rarely(
                Case("500", "recovered", aws=error(get, "InternalServerError", 500)),
                Case("reset", "recovered", aws=aws("reset", get, times=2)),
                Case("502", "recovered", aws=aws("garbage", get, status=502, times=2)),
            ),
        ],
    )
    throttled = error(get, "ThrottlingException", 400, ALWAYS)
    denied = error(get, "AccessDeniedException", 400, ALWAYS)
    yield Fault(
        place,
        "errors, throttles and denials that stay",
        "Named, and everything is exported all the same.",
        [
            Case("denied", "person", aws=denied, says=_DENIED, exported=PARTITIONS),
            *rarely(Case("throttled", "failed", aws=throttled, says="listing the executions")),
        ],
    )
    yield Fault(
        place,
        "the hand-over of remaining work fails",
        "Named; the next run that has work left hands it over.",
        by="test_the_hand_over_fails",
    )


def parameter_store() -> Iterator[Fault]:
    """Where tokens are cached, and mints take turns."""
    place = "Parameter Store"
    get, put = "ssm:GetParameter", "ssm:PutParameter"
    yield Fault(
        place,
        "errors and throttles that pass, connections that break",
        _RETRIED,
        [
            Case("get", "recovered", aws=error(get, "ThrottlingException", 400)),
            Case("put", "recovered", aws=error(put, "InternalServerError", 500)),
            Case("get-reset", "recovered", aws=aws("reset", get, times=2)),
            *rarely(
                Case("get-500", "recovered", aws=error(get, "InternalServerError", 500)),
                Case("put-throttled", "recovered", aws=error(put, "ThrottlingException", 400)),
                Case("put-reset", "recovered", aws=aws("reset", put, times=2)),
                Case("get-cut", "recovered", aws=aws("cut", get)),
                Case("get-502", "recovered", aws=aws("garbage", get, status=502, times=2)),
                Case("hang", "recovered", aws=aws("hang", put, seconds=30)),
            ),
        ],
    )
    throttled = error(get, "ThrottlingException", 400, ALWAYS)
    failing = error(put, "InternalServerError", 500, ALWAYS)
    yield Fault(
        place,
        "errors, throttles and denials that stay",
        "The partitions fail and name the parameter; where access is denied, what to do.",
        [
            Case("get-throttled", "failed", aws=throttled, says="/token/.*ThrottlingException"),
            Case(
                "put-denied",
                "person",
                aws=error(put, "AccessDeniedException", 400, ALWAYS),
                says=_DENIED,
            ),
            *rarely(
                Case("put-500", "failed", aws=failing, says="/mint/.*InternalServerError"),
                Case(
                    "get-denied",
                    "person",
                    aws=error(get, "AccessDeniedException", 400, ALWAYS),
                    says=_DENIED,
                ),
            ),
        ],
    )
    yield Fault(
        place,
        "a response that is lost after the parameter was written",
        "A claim whose response was lost is recognised; there is still one mint at a time.",
        [
            Case("claim", "recovered", aws=aws("lost", put, has="/mint/")),
            Case("token", "recovered", aws=aws("lost", put, has="/token/")),
        ],
    )


def kms() -> Iterator[Fault]:
    """What encrypts tokens; Parameter Store asks it."""
    place = "KMS, through Parameter Store"
    get, put, decrypt, encrypt = "ssm:GetParameter", "ssm:PutParameter", "/token/", "SecureString"
    yield Fault(
        place,
        "throttled, or failing for a moment",
        _RETRIED,
        [
            Case("decrypt", "recovered", aws=error(get, "ThrottlingException", 400, has=decrypt)),
            Case("encrypt", "recovered", aws=error(put, "InternalServerError", 500, has=encrypt)),
            *rarely(
                Case(
                    "decrypt-500",
                    "recovered",
                    aws=error(get, "InternalServerError", 500, has=decrypt),
                ),
                Case(
                    "encrypt-400",
                    "recovered",
                    aws=error(put, "ThrottlingException", 400, has=encrypt),
                ),
            ),
        ],
    )
    denied = "AccessDeniedException"
    yield Fault(
        place,
        "the key is disabled, or may not be used",
        "Named; no token is stored in the clear.",
        [
            Case(
                "decrypt", "person", aws=error(get, denied, 400, ALWAYS, has=decrypt), says=_DENIED
            ),
            Case(
                "encrypt",
                "person",
                aws=error(put, denied, 400, ALWAYS, has=encrypt),
                says="storing the token.*AccessDenied",
                settled_by=store_secret,
            ),
            *rarely(
                Case(
                    "disabled",
                    "failed",
                    aws=error(put, "InvalidKeyId", 400, ALWAYS, has=encrypt),
                    says="storing the token.*InvalidKeyId",
                )
            ),
        ],
    )


def secrets_manager() -> Iterator[Fault]:
    """Where credentials are."""
    place, get = "Secrets Manager", "secretsmanager:GetSecretValue"
    yield Fault(
        place,
        "errors and throttles that pass, connections that break",
        _RETRIED,
        [
            Case("throttled", "recovered", aws=error(get, "ThrottlingException", 400)),
            Case("reset", "recovered", aws=aws("reset", get, times=2)),
            *rarely(
                Case("500", "recovered", aws=error(get, "InternalServiceError", 500)),
                Case("cut", "recovered", aws=aws("cut", get)),
            ),
        ],
    )
    lasting: tuple[tuple[str, Outcome, str], ...] = (
        ("InternalServiceError", "failed", "reading secret.*InternalService"),
        ("AccessDeniedException", "person", "may not read it.*deploy the stack again"),
        ("ResourceNotFoundException", "person", "no secret.*make secret"),
        ("ThrottlingException", "failed", "reading secret.*Throttling"),
        ("DecryptionFailure", "failed", "reading secret.*DecryptionFailure"),
    )
    yield Fault(
        place,
        "errors, throttles and denials that stay, no secret",
        "The failure names the secret; where it is missing or denied, what to do.",
        [
            Case(
                code,
                outcome,
                aws=error(get, code, 500 if "Internal" in code else 400, ALWAYS),
                says=says,
                soak=number > 2,
            )
            for number, (code, outcome, says) in enumerate(lasting)
        ],
    )


def function_calls() -> Iterator[Fault]:
    """The call of the token function."""
    place, invoke, says = "Lambda", "lambda:Invoke", "asking .* for a token failed"
    throttled = "TooManyRequestsException"
    yield Fault(
        place,
        "errors and throttles that pass, a response that is lost",
        "The token function is called again; a second token is not minted.",
        [
            Case("throttled", "recovered", aws=error(invoke, throttled, 429, 3)),
            Case("lost", "recovered", aws=aws("lost", invoke)),
            *rarely(
                Case("500", "recovered", aws=error(invoke, "ServiceException", 500)),
                Case("reset", "recovered", aws=aws("reset", invoke, times=2)),
            ),
        ],
    )
    yield Fault(
        place,
        "errors, throttles and denials that stay",
        "The partitions fail and name the function.",
        [
            Case(
                "denied",
                "person",
                aws=error(invoke, "AccessDeniedException", 403, ALWAYS),
                says=_DENIED,
            ),
            *rarely(
                Case("throttled", "failed", aws=error(invoke, throttled, 429, ALWAYS), says=says),
                Case(
                    "500", "failed", aws=error(invoke, "ServiceException", 500, ALWAYS), says=says
                ),
            ),
        ],
    )
