"""Dimensions, measures and words that sheets share."""

from dataclasses import replace

from choreo_insights_cli.dashboard.description import (
    Aggregation,
    Colour,
    Dimension,
    Measure,
    Part,
    Unit,
)

NO_REQUEST = "No request in these days."
NO_ERROR = "No request failed in these days."
NO_LATENCY = "No request in these days, so no response time."

ORGANIZATION = Dimension("organization", "Organisation")
ENVIRONMENT = Dimension("environment", "Environment", absent="(all)")
API = Dimension("api_name", "API")
VERSION = Dimension("api_version", "Version")
SLUG = Dimension("api_slug", "Slug")
APPLICATION = Dimension("application_name", "Application")
HOUR = Dimension("hour", "Hour (UTC)", Part.HOUR, Unit.INSTANT)
DAY = Dimension("day", "Day (UTC)", Part.DAY, Unit.DAY)
DAY_OF_HOUR = replace(DAY, column="hour")


def percent(label: str, column: str, whole: tuple[str, ...], colour: Colour) -> Measure:
    """A column in percent of columns that together are the whole."""
    return Measure(label, column, Aggregation.PERCENT, Unit.PERCENT, whole, colour)


def highest(label: str, column: str, colour: Colour | None = None) -> Measure:
    """The highest of response times, in ms."""
    return Measure(label, column, Aggregation.MAX, Unit.MILLISECONDS, colour=colour)


REQUESTS = Measure("Requests", "requests", colour=Colour.BLUE)
SUCCESSES = Measure("Successes", "successes", colour=Colour.BLUE)
ERRORS = Measure("Errors", "errors", colour=Colour.VERMILION)
ERROR_RATE = percent("Error rate", "errors", ("requests",), Colour.VERMILION)
DAILY_P95 = highest("Highest daily p95", "p95_ms", Colour.GREEN)
