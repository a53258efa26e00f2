"""CloudFormation's description of one deployed stack."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from tests.fakes.server import Answer, Received


def asks_for_stack(received: Received) -> bool:
    """Whether a request is DescribeStacks."""
    return b"Action=DescribeStacks" in received.body


def described(name: str, outputs: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
    """The answer to DescribeStacks."""
    text = (
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>"
        f"<StackName>{name}</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
        "<CreationTime>2026-01-31T00:00:00Z</CreationTime>"
        f"<Outputs>{_members('Output', outputs)}</Outputs>"
        f"<Parameters>{_members('Parameter', parameters)}</Parameters>"
        "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
    )
    return Answer(200, text.encode(), {"Content-Type": "text/xml"})


def _members(kind: str, values: Mapping[str, str]) -> str:
    return "".join(
        f"<member><{kind}Key>{name}</{kind}Key><{kind}Value>{escape(value)}</{kind}Value></member>"
        for name, value in values.items()
    )
