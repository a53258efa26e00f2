"""Faults of AWS, which the emulator does not have: the proxy injects them."""

from collections.abc import Iterator

from insights.dataset import VERSION_KEY
from tests.faults.cases import ALWAYS, Case, Fault, Outcome, aws, error, rarely, store_secret

_AGAIN = "Asked again with back-off."
_DENIED = "AccessDenied.*Deploy the stack"
# What a run reads to compare it: the past day.
_PAST = "/success_summary/"
_LIST, _GET, _PUT = "s3:ListObjectsV2", "s3:GetObject", "s3:PutObject"


def s3() -> Iterator[Fault]:
    """Where the dataset is."""
    place = "S3"
    yield Fault(
        place,
        "errors and throttles that pass",
        _AGAIN,
        [
            Case("list", "mended", aws=error(_LIST, "SlowDown", 503)),
            Case("get", "mended", aws=error(_GET, "InternalError", 500, has=_PAST)),
            Case("version", "mended", aws=error(_GET, "InternalError", 500, has=VERSION_KEY)),
            Case("put", "mended", aws=error(_PUT, "SlowDown", 503, 3)),
            *rarely(
                Case("list-500", "mended", aws=error(_LIST, "InternalError", 500)),
                Case("get-503", "mended", aws=error(_GET, "SlowDown", 503, has=_PAST)),
                Case("put-500", "mended", aws=error(_PUT, "InternalError", 500)),
                Case("put-400", "mended", aws=error(_PUT, "RequestTimeout", 400)),
            ),
        ],
    )
    listing = error(_LIST, "SlowDown", 503, ALWAYS)
    put = error(_PUT, "SlowDown", 503, ALWAYS, has="/apis/")
    get = error(_GET, "InternalError", 500, ALWAYS, has=_PAST)
    ledger = error(_PUT, "SlowDown", 503, ALWAYS, has="/runs/")
    yield Fault(
        place,
        "errors and throttles that stay",
        "The partition fails, all others are exported; without the listing the run fails.",
        [
            Case("put", "failed", aws=put, says="SlowDown"),
            Case("ledger", "failed", aws=ledger, says="runs/.*SlowDown"),
            *rarely(
                Case("get", "failed", aws=get, says="InternalError"),
                Case("list", "failed", aws=listing, says="SlowDown"),
            ),
        ],
    )
    yield Fault(
        place,
        "access denied, no bucket",
        "Named, with what to do where access is denied.",
        [
            Case("put", "person", aws=error(_PUT, "AccessDenied", 403, ALWAYS), says=_DENIED),
            Case("list", "failed", aws=error(_LIST, "AccessDenied", 403, ALWAYS), says=_DENIED),
            *rarely(
                Case(
                    "get",
                    "person",
                    aws=error(_GET, "AccessDenied", 403, ALWAYS, has=_PAST),
                    says=_DENIED,
                ),
                Case(
                    "version",
                    "failed",
                    aws=error(_GET, "AccessDenied", 403, ALWAYS, has=VERSION_KEY),
                    says=f"{VERSION_KEY}.*{_DENIED}",
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
    yield Fault(
        place,
        "connections that break, HTML in place of an answer",
        "Asked again.",
        [
            Case("put-reset", "mended", aws=aws("reset", _PUT, times=2)),
            Case("get-cut", "mended", aws=aws("cut", _GET, has=_PAST)),
            *rarely(
                Case("list-reset", "mended", aws=aws("reset", _LIST, times=2)),
                Case("list-cut", "mended", aws=aws("cut", _LIST)),
                Case("get-reset", "mended", aws=aws("reset", _GET, times=2, has=_PAST)),
                Case("version-cut", "mended", aws=aws("cut", _GET, has=VERSION_KEY)),
                Case("put-502", "mended", aws=aws("garbage", _PUT, status=502, times=2)),
            ),
        ],
    )
    yield Fault(
        place,
        "an answer that is lost after the object was written",
        "The attempt that follows finds the object changed, and sees that it is its own.",
        [
            Case("list", "mended", aws=aws("lost", _PUT, has="/apis/")),
            Case("past-day", "mended", aws=aws("lost", _PUT, has="/resource_usage/")),
            *rarely(Case("ledger", "mended", aws=aws("lost", _PUT, has="/runs/"))),
        ],
    )
    yield Fault(
        place,
        "another writer is faster (412, 409)",
        "Looked at again: the newer answer stays.",
        [
            Case("412", "mended", aws=error(_PUT, "PreconditionFailed", 412, 1, has="/apis/")),
            Case(
                "409",
                "mended",
                aws=error(_PUT, "ConditionalRequestConflict", 409, 1, has="/resource_usage/"),
            ),
        ],
    )
    yield Fault(
        place,
        "hangs",
        "Given up after 15 seconds, and asked again.",
        [
            *rarely(
                Case("list", "mended", aws=aws("hang", _LIST, seconds=60)),
                Case("get", "mended", aws=aws("hang", _GET, seconds=60, has=_PAST)),
                Case("put", "mended", aws=aws("hang", _PUT, seconds=60)),
            )
        ],
    )


def parameter_store() -> Iterator[Fault]:
    """Where tokens are cached, and mints take turns."""
    place = "Parameter Store"
    get, put = "ssm:GetParameter", "ssm:PutParameter"
    yield Fault(
        place,
        "errors and throttles that pass, connections that break",
        _AGAIN,
        [
            Case("get", "mended", aws=error(get, "ThrottlingException", 400)),
            Case("put", "mended", aws=error(put, "InternalServerError", 500)),
            Case("get-reset", "mended", aws=aws("reset", get, times=2)),
            *rarely(
                Case("get-500", "mended", aws=error(get, "InternalServerError", 500)),
                Case("put-throttled", "mended", aws=error(put, "ThrottlingException", 400)),
                Case("put-reset", "mended", aws=aws("reset", put, times=2)),
                Case("get-cut", "mended", aws=aws("cut", get)),
                Case("get-502", "mended", aws=aws("garbage", get, status=502, times=2)),
                Case("hang", "mended", aws=aws("hang", put, seconds=30)),
            ),
        ],
    )
    throttled = error(get, "ThrottlingException", 400, ALWAYS)
    failing = error(put, "InternalServerError", 500, ALWAYS)
    yield Fault(
        place,
        "errors, throttles and denials that stay",
        "The run fails and names the parameter; where access is denied it says what to do.",
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
        "an answer that is lost after the parameter was written",
        "A claim whose answer was lost is known again; there is still one mint at a time.",
        [
            Case("claim", "mended", aws=aws("lost", put, has="/mint/")),
            Case("token", "mended", aws=aws("lost", put, has="/token/")),
        ],
    )


def kms() -> Iterator[Fault]:
    """What encrypts tokens; Parameter Store asks it."""
    place = "KMS, through Parameter Store"
    get, put, decrypt, encrypt = "ssm:GetParameter", "ssm:PutParameter", "/token/", "SecureString"
    yield Fault(
        place,
        "throttled, or failing for a moment",
        _AGAIN,
        [
            Case("decrypt", "mended", aws=error(get, "ThrottlingException", 400, has=decrypt)),
            Case("encrypt", "mended", aws=error(put, "InternalServerError", 500, has=encrypt)),
            *rarely(
                Case(
                    "decrypt-500", "mended", aws=error(get, "InternalServerError", 500, has=decrypt)
                ),
                Case(
                    "encrypt-400", "mended", aws=error(put, "ThrottlingException", 400, has=encrypt)
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
        _AGAIN,
        [
            Case("throttled", "mended", aws=error(get, "ThrottlingException", 400)),
            Case("reset", "mended", aws=aws("reset", get, times=2)),
            *rarely(
                Case("500", "mended", aws=error(get, "InternalServiceError", 500)),
                Case("cut", "mended", aws=aws("cut", get)),
            ),
        ],
    )
    lasting: tuple[tuple[str, Outcome, str], ...] = (
        ("InternalServiceError", "failed", "reading secret.*InternalService"),
        ("AccessDeniedException", "person", _DENIED),
        ("ResourceNotFoundException", "person", "no secret.*make secret"),
        ("ThrottlingException", "failed", "reading secret.*Throttling"),
        ("DecryptionFailure", "failed", "reading secret.*DecryptionFailure"),
    )
    yield Fault(
        place,
        "errors, throttles and denials that stay, no secret",
        "The run names the secret; where it is missing or denied, what to do.",
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
        "errors and throttles that pass, an answer that is lost",
        "The token function is called again; a second token is not minted.",
        [
            Case("throttled", "mended", aws=error(invoke, throttled, 429, 3)),
            Case("lost", "mended", aws=aws("lost", invoke)),
            *rarely(
                Case("500", "mended", aws=error(invoke, "ServiceException", 500)),
                Case("reset", "mended", aws=aws("reset", invoke, times=2)),
            ),
        ],
    )
    yield Fault(
        place,
        "errors, throttles and denials that stay",
        "The run fails and names the function.",
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
