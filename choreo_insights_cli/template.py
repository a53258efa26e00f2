"""The template as data: short tags read as functions, functions rendered with sample values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

try:
    # The loader in Python takes ten times as long.
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

ACCOUNT, REGION = "111122223333", "eu-central-1"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "choreo-insights",
}
_ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
    "AWS::Scheduler::ScheduleGroup": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{{}}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{{}}",
}
# A reference to these gives the ARN, not a name.
_ARN_BY_REF = {"AWS::SNS::Topic"}
_POLICY_PROPERTIES = ("PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument")


@dataclass(frozen=True)
class Policy:
    """A rendered policy document and where it stands."""

    resource: str
    kind: str  # the property that holds it
    document: dict[str, Any]

    @property
    def statements(self) -> list[dict[str, Any]]:
        return list(self.document["Statement"])


class Template:
    """A template of CloudFormation."""

    def __init__(self, path: Path, **samples: str) -> None:
        """`samples` are values of parameters for what is rendered, in place of their defaults."""
        self.text = path.read_text("utf-8")
        self.samples = samples
        self.body: dict[str, Any] = _Loader(self.text).get_single_data()

    @cached_property
    def parameters(self) -> dict[str, dict[str, Any]]:
        return dict(self.body["Parameters"])

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources by logical id."""
        return dict(self.body["Resources"])

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def policies(self) -> Iterator[Policy]:
        """Every policy of the template, with sample values, as AWS without an emulator has it.

        Raises KeyError for a function or attribute that has no sample here.
        """
        for name, resource in self.resources.items():
            properties = resource.get("Properties", {})
            for kind in _POLICY_PROPERTIES:
                if kind in properties:
                    yield Policy(name, kind, self.rendered(properties[kind]))

    def rendered(self, node: Any) -> Any:
        """The node with its functions replaced by sample values."""
        if isinstance(node, list):
            return [self.rendered(item) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), *_ = node.items()
            if function == "Ref":
                return self._reference(argument)
            if function.startswith("Fn::"):
                return self._function(function, argument)
        return {key: self.rendered(value) for key, value in node.items()}

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            return self._attribute(*argument)
        if name == "Fn::Sub":
            text, values = argument if isinstance(argument, list) else (argument, {})
            own = {key: self.rendered(value) for key, value in values.items()}
            return re.sub(
                r"\$\{([^}]+)\}",
                lambda found: own.get(found[1]) or self._substituted(found[1]),
                text,
            )
        if name == "Fn::If":
            return self.rendered(argument[1])
        if name in ("Fn::Join", "Fn::Split"):
            delimiter, value = argument
            value = self.rendered(value)
            return delimiter.join(value) if name == "Fn::Join" else value.split(delimiter)
        raise KeyError(f"{name} has no rendering: add one to {__file__}")

    def _substituted(self, name: str) -> str:
        resource, dot, attribute = name.partition(".")
        return self._attribute(resource, attribute) if dot else self._reference(name)

    def _reference(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            default = self.parameters[name].get("Default", f"sample-{name.lower()}")
            return str(self.samples.get(name, default))
        if self.resources[name]["Type"] in _ARN_BY_REF:
            return self._attribute(name, "Arn")
        return self._name(name)

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute != "Arn":
            return self._name(name)
        return _ARNS[self.resources[name]["Type"]].format(self._name(name))

    def _name(self, name: str) -> str:
        if self.resources[name]["Type"] == "AWS::KMS::Key":
            return "1234abcd-12ab-34cd-56ef-1234567890ab"
        return f"choreo-insights-{name.lower()}"


class _Loader(SafeLoader):
    """Reads `!Sub x` as `{"Fn::Sub": x}` and so on."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)
