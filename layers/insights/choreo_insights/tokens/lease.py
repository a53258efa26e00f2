"""At most one mint at a time for an organisation, whatever the number of containers.

SSM has no conditional overwrite, but it numbers the versions of a parameter. A claim is a write
to the state parameter, and the version before it says whether it holds:

    version 7  free                     A and B read this
    version 8  claim of A   holds:      what came before it, 7, was free
    version 9  claim of B   void:       what came before it, 8, was held; B waits
    version 10 free                     A is done

Only a holder writes "free", and only while its lease lasts. A holder that dies is succeeded when
its lease is over. No reserved concurrency is needed, which small accounts cannot have.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from choreo_insights.aws import aws_failure, error_code, is_throttled
from choreo_insights.errors import InsightsError, PersonMustAct, Retriable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ssm.client import SSMClient

# Longer than the longest mint with all that belongs to it.
LEASE_SECONDS = 45.0
# The clocks of two containers differ by this at the most.
SKEW_SECONDS = 60.0


@dataclass(frozen=True)
class MintFailure:
    """A mint that failed, for those who waited for it and, until `until`, for all others.

    `secret_version` is the version of the secret it failed with: another one is worth a try.
    """

    error: str
    retriable: bool
    until: float = 0.0
    secret_version: str = ""

    def as_error(self, now: float) -> InsightsError:
        """The error to raise in place of trying again."""
        if not self.retriable:
            return PersonMustAct(self.error)
        return Retriable(self.error, retry_after=max(0.0, self.until - now))


@dataclass(frozen=True)
class Minted:
    """The newest mint: its token's fingerprint, and the version of the secret that it was for."""

    fingerprint: str
    secret_version: str


@dataclass(frozen=True)
class LeaseState:
    """A version of the state parameter; version 0 is before the first."""

    version: int = 0
    holder: str = ""
    until: float = 0.0
    failure: MintFailure | None = None
    minted: Minted | None = None

    def is_free(self, now: float) -> bool:
        """Whether nobody holds it, even by a clock that is wrong by the skew."""
        return not self.holder or now > self.until + SKEW_SECONDS


@dataclass(frozen=True)
class HeldLease:
    """A lease that was taken. `missed` is a failure that came between the read and the claim.

    `minted` is the newest mint before this one.
    """

    until: float
    missed: MintFailure | None = None
    minted: Minted | None = None


class Lease:
    """The leases, one plain parameter for each organisation. It holds no secrets."""

    def __init__(self, ssm: SSMClient, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._ssm = ssm
        self._prefix = prefix
        self._clock = clock

    def read(self, organization: str) -> LeaseState:
        """The newest version. Raises what `aws_failure` gives."""
        return self._read(self._name(organization)) or LeaseState()

    def claim(self, organization: str, seen: LeaseState) -> HeldLease | None:
        """Takes the lease if it is still free; None if another container was faster.

        Raises what `aws_failure` gives.
        """
        name = self._name(organization)
        until = self._clock() + LEASE_SECONDS
        # A new one for each claim: a container's earlier claim is not this one.
        holder = secrets.token_hex(8)
        content = {"holder": holder, "until": until, **_kept(seen.minted)}
        version = self._write(name, content)
        if version is None:
            mine = LeaseState(seen.version + 1, holder, until, minted=seen.minted)
            return HeldLease(until, minted=seen.minted) if self._read(name) == mine else None
        before: LeaseState | None = None
        while version > seen.version + 1:
            version -= 1
            # SSM keeps the last 100 versions [AWS], and reads an earlier one by its number.
            before = self._read(f"{name}:{version}")
            # The SDK repeats a write whose answer was lost: the first of them is the claim.
            if before is None or before.holder != holder:
                break
        else:
            return HeldLease(until, minted=seen.minted)
        if before is None or not before.is_free(self._clock()):
            return None
        return HeldLease(until, before.failure, before.minted)

    def release(
        self,
        organization: str,
        held: HeldLease,
        failure: MintFailure | None = None,
        minted: Minted | None = None,
    ) -> None:
        """Gives it back, with what the waiting should know and what was minted, if anything.

        Raises what `aws_failure` gives.
        """
        # Later it may be somebody else's, who would be freed while minting.
        if self._clock() < held.until:
            content: dict[str, Any] = {"failure": asdict(failure)} if failure else {}
            self._write(self._name(organization), content | _kept(minted or held.minted))

    def _name(self, organization: str) -> str:
        return f"{self._prefix}/{organization}"

    def _read(self, name: str) -> LeaseState | None:
        try:
            parameter = self._ssm.get_parameter(Name=name)["Parameter"]
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error_code(error) in (
                "ParameterNotFound",
                "ParameterVersionNotFound",
            ):
                return None
            raise aws_failure(error, f"reading {name!r}") from error
        return _state(parameter.get("Version", 0), parameter.get("Value", ""))

    def _write(self, name: str, content: dict[str, Any]) -> int | None:
        """The number of the written version, None where SSM throttled the write."""
        try:
            answer = self._ssm.put_parameter(
                Name=name, Value=json.dumps(content), Type="String", Overwrite=True
            )
        except (ClientError, BotoCoreError) as error:
            if is_throttled(error):
                # Many writers at once are what a claim is for.
                return None
            raise aws_failure(error, f"writing {name!r}") from error
        return answer["Version"]


def _kept(minted: Minted | None) -> dict[str, Any]:
    return {"minted": asdict(minted)} if minted else {}


def _state(version: int, text: str) -> LeaseState:
    """The state in the parameter; content that cannot be read counts as free."""
    try:
        values = json.loads(text)
        failure, minted = values.get("failure"), values.get("minted")
        return LeaseState(
            version,
            str(values.get("holder", "")),
            float(values.get("until", 0.0)),
            MintFailure(**failure) if failure else None,
            Minted(**minted) if minted else None,
        )
    except (ValueError, TypeError, AttributeError):
        return LeaseState(version)
