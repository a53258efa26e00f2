"""Dimensions, measures and texts that several sheets use."""

from dataclasses import replace

from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Colour,
    Dimension,
    Measure,
    Unit,
    ValuePart,
)

NO_REQUEST = "No request in these days."
NO_ERROR = "No request failed in these days."
NO_LATENCY = "No request in these days, so no response time."

ORGANIZATION = Dimension("organization", "Organisation", plural="organisations")
ENVIRONMENT = Dimension(
    "environment",
    "Environment",
    absent="(all)",
    also=("organization",),
    plural="environments",
)
API = Dimension(
    "api_name", "API", also=("api_version", "environment", "organization"), plural="APIs"
)
VERSION = Dimension("api_version", "Version")
SLUG = Dimension("api_slug", "Slug")
APPLICATION = Dimension(
    "application_name",
    "Application",
    also=("environment", "organization"),
    plural="applications",
)
STATUS_CODE = Dimension("status_code", "Status code", plural="status codes")
REASON = Dimension("reason", "Reason", plural="reasons")
PROJECT = Dimension("project", "Project", plural="projects")
HOUR = Dimension("hour", "Hour (UTC)", ValuePart.HOUR, Unit.INSTANT)
DAY = Dimension("day", "Day (UTC)", ValuePart.DAY, Unit.DAY)
DAY_OF_HOUR = replace(DAY, column="hour")


def percent(label: str, column: str, whole: tuple[str, ...], colour: Colour) -> Measure:
    """A column in percent of the sum of other columns."""
    return Measure(label, column, Aggregation.PERCENT, Unit.PERCENT, whole, colour)


def highest(label: str, column: str, colour: Colour | None = None) -> Measure:
    """The maximum of a response time in ms: percentiles cannot be averaged."""
    return Measure(label, column, Aggregation.MAX, Unit.MILLISECONDS, colour=colour)


REQUESTS = Measure("Requests", "requests", colour=Colour.BLUE)
SUCCESSES = Measure("Successes", "successes", colour=Colour.BLUE)
ERRORS = Measure("Errors", "errors", colour=Colour.VERMILION)
ERROR_RATE = percent("Error rate", "errors", ("requests",), Colour.VERMILION)
DAILY_P95 = highest("Highest daily p95", "p95_ms", Colour.BLUE)
