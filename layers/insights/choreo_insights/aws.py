"""Failures of AWS calls, sorted by what the caller should do."""

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from urllib3.exceptions import HTTPError

from choreo_insights.errors import InsightsError, PersonMustAct, Retriable
from choreo_insights.redaction import redact

_PASSING = {
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "InternalServiceErrorException",
    "KMSInternalException",
    "RequestTimeout",
    "ServiceException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
}


def error_code(error: ClientError) -> str:
    """The code of a refusal, such as `ParameterNotFound`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttled(error: Exception) -> bool:
    """Whether AWS throttles, by one of its many error codes."""
    if not isinstance(error, ClientError):
        return False
    code = error_code(error)
    # Each service has names of its own: ThrottlingException, Throttling, TooManyRequestsException.
    return "Throttl" in code or code.startswith("TooMany") or code == "RequestLimitExceeded"


def aws_failure(error: ClientError | BotoCoreError | HTTPError, what: str) -> InsightsError:
    """The error for a failed AWS call; `what` names the attempt, as in `reading secret x`.

    The text of AWS is passed on for refused permissions alone: where a value is invalid, AWS
    repeats the value.
    """
    if not isinstance(error, ClientError):
        kind = type(error).__name__
        if isinstance(error, NoCredentialsError):
            return PersonMustAct(f"{what} failed: there are no AWS credentials")
        return Retriable(f"{what} failed ({kind})")
    code = error_code(error)
    head = f"{what} failed ({error.operation_name}: {code})"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # Without AWS's words, of which the SDK makes a number, the refusal is not whole.
    if is_throttled(error) or code in _PASSING or code.isdigit() or status >= 500:
        return Retriable(head)
    # The latter is how SNS says it.
    if "AccessDenied" in code or code == "AuthorizationError":
        said = redact(str(error.response["Error"].get("Message", "")))
        return PersonMustAct(f"{head}: {said}. Deploy the stack again to restore its permissions")
    return InsightsError(head)
