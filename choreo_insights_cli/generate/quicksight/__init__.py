"""The dashboard in QuickSight, as a nested template of CloudFormation."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import yaml

from choreo_insights_cli.dashboard.description import PALETTE, REST, SCALE, Colour, Sheet
from choreo_insights_cli.generate.glue import HEADER
from choreo_insights_cli.generate.quicksight import datasets
from choreo_insights_cli.generate.quicksight.access import (
    OWN_DASHBOARD,
    OWN_DATA_SOURCE,
    OWN_THEME,
    granted,
    query_policy,
    query_role,
)
from choreo_insights_cli.generate.quicksight.definition import definition
from choreo_insights_cli.sql.model import View

_PARAMETERS = {
    "StackName": "Name of the stack around this one: part of every id and title.",
    "DatabaseName": "The Glue database.",
    "WorkGroupName": "The Athena workgroup.",
    "BucketName": "The dataset bucket.",
    "ResultsBucketName": "The bucket of the workgroup's results.",
    "PrincipalArn": "The QuickSight user or group that owns what is made here.",
    "HistoryDays": "Days back from today that QuickSight keeps.",
    "Rules": "Whether the table access_rules says who sees what: true or false.",
    "Frozen": "Whether the dataset has ended: then nothing is refreshed, and the title says so.",
}
_IDS = {"AwsAccountId": {"Ref": "AWS::AccountId"}}


def in_quicksight(sheets: Iterable[Sheet]) -> list[Sheet]:
    """The sheets without what QuickSight has no form of: tables of two spans beside each other."""
    return [
        replace(sheet, panels=tuple(panel for panel in sheet.panels if not panel.compares))
        for sheet in sheets
    ]


def render(sheets: Sequence[Sheet], views: Sequence[View]) -> str:
    """The template as YAML text. Raises ValueError where a panel does not fit its view."""
    sheets = in_quicksight(sheets)
    sets = datasets.data_sets(sheets, views)
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The dashboard of the Choreo Insights data in QuickSight.",
        "Parameters": {
            name: {"Type": "String", "Description": meaning}
            for name, meaning in _PARAMETERS.items()
        },
        "Conditions": {
            datasets.HAS_RULES: {"Fn::Equals": [{"Ref": "Rules"}, "true"]},
            "GoesOn": {"Fn::Equals": [{"Ref": "Frozen"}, "false"]},
        },
        "Resources": {
            "QueryRole": query_role(),
            "QueryPolicy": query_policy(),
            "DataSource": _data_source(),
            "AccessRulesDataSet": datasets.rules_resource(),
            **dict(datasets.resources(sets)),
            "Theme": _theme(),
            "Dashboard": _dashboard(sheets, sets),
        },
        "Outputs": {
            "DashboardUrl": {
                "Description": "Where the dashboard opens.",
                "Value": {
                    "Fn::Sub": "https://${AWS::Region}.quicksight.aws.amazon.com/sn/dashboards/"
                    "${StackName}"
                },
            }
        },
    }
    text: str = yaml.dump(
        template,
        Dumper=_Plain,
        default_flow_style=None,
        sort_keys=False,
        width=100,
        allow_unicode=True,
    )
    return HEADER + text


class _Plain(yaml.SafeDumper):
    """Writes everything out: anchors would tie places together that have nothing in common."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, "|" if "\n" in data else None)


_Plain.add_representer(str, _Plain.represent_str)


def _data_source() -> dict[str, Any]:
    role = {"Fn::GetAtt": ["QueryRole", "Arn"]}
    return {
        "Type": "AWS::QuickSight::DataSource",
        "DependsOn": "QueryPolicy",
        "Properties": {
            **_IDS,
            "DataSourceId": {"Fn::Sub": "${StackName}-athena"},
            "Name": {"Fn::Sub": "Choreo Insights (${StackName})"},
            "Type": "ATHENA",
            "DataSourceParameters": {
                "AthenaParameters": {"WorkGroup": {"Ref": "WorkGroupName"}, "RoleArn": role}
            },
            "Permissions": [granted(OWN_DATA_SOURCE)],
        },
    }


def _theme() -> dict[str, Any]:
    return {
        "Type": "AWS::QuickSight::Theme",
        "Properties": {
            **_IDS,
            "ThemeId": {"Fn::Sub": "${StackName}-colours"},
            "Name": {"Fn::Sub": "Distinguishable colours (${StackName})"},
            "BaseThemeId": "CLASSIC",
            "Configuration": {
                "DataColorPalette": {
                    "Colors": [str(colour) for colour in (*PALETTE, REST)],
                    "MinMaxGradient": [colour.upper() for colour in SCALE],
                    "EmptyFillColor": str(REST),
                },
                "UIColorPalette": {
                    "Accent": str(Colour.BLUE),
                    "AccentForeground": "#FFFFFF",
                    "Success": str(Colour.GREEN),
                    "SuccessForeground": "#FFFFFF",
                    "Warning": str(Colour.ORANGE),
                    "WarningForeground": "#000000",
                    "Danger": str(Colour.VERMILION),
                    "DangerForeground": "#FFFFFF",
                },
            },
            "Permissions": [granted(OWN_THEME)],
        },
    }


def _dashboard(sheets: Sequence[Sheet], sets: Sequence[datasets.DataSet]) -> dict[str, Any]:
    return {
        "Type": "AWS::QuickSight::Dashboard",
        "Properties": {
            **_IDS,
            "DashboardId": {"Ref": "StackName"},
            "Name": {
                "Fn::If": [
                    "GoesOn",
                    {"Fn::Sub": "Choreo Insights (${StackName})"},
                    {"Fn::Sub": "Choreo Insights (${StackName}), ended: no newer days follow"},
                ]
            },
            "ThemeArn": {"Fn::GetAtt": ["Theme", "Arn"]},
            "Permissions": [granted(OWN_DASHBOARD)],
            # One visual's mistake shows in its place, and does not take the stack along.
            "ValidationStrategy": {"Mode": "LENIENT"},
            "DashboardPublishOptions": {
                "AdHocFilteringOption": {"AvailabilityStatus": "ENABLED"},
                "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
                "SheetControlsOption": {"VisibilityState": "EXPANDED"},
            },
            "Definition": definition(sheets, sets),
        },
    }
