"""The panels of the dashboard, sheet by sheet: those of Choreo's console and more."""

from choreo_insights_cli.dashboard.panels.callers import ALERTS_SHEET, DEVICES, REPORTS
from choreo_insights_cli.dashboard.panels.errors import ERRORS_SHEET
from choreo_insights_cli.dashboard.panels.health import HEALTH
from choreo_insights_cli.dashboard.panels.latency import CACHE, LATENCY
from choreo_insights_cli.dashboard.panels.traffic import OVERVIEW, TRAFFIC

# Charts show hours up to so many days, and days beyond.
HOURS_UP_TO_DAYS = 14

SHEETS = (
    OVERVIEW,
    TRAFFIC,
    ERRORS_SHEET,
    LATENCY,
    CACHE,
    DEVICES,
    ALERTS_SHEET,
    REPORTS,
    HEALTH,
)
