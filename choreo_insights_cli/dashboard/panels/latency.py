"""The sheets Latency and Cache."""

from dataclasses import replace

from choreo_insights_cli.dashboard.description import (
    ALL_FILTERS,
    Aggregation,
    Colour,
    Kind,
    Measure,
    Order,
    Panel,
    Sheet,
    Unit,
)
from choreo_insights_cli.dashboard.panels.shared import (
    API,
    DAILY_P95,
    DAY,
    DAY_OF_HOUR,
    ENVIRONMENT,
    HOUR,
    NO_LATENCY,
    ORGANIZATION,
    VERSION,
    highest,
    percent,
)

_HOURLY_P95 = replace(DAILY_P95, label="Highest hourly p95")

DAILY_P95_OF_API = replace(DAILY_P95, column="response_p95_ms")

_PARTS = (
    highest("Response", "response_p95_ms", Colour.BLUE),
    highest("Backend", "backend_p95_ms", Colour.ORANGE),
    highest("Request mediation", "request_mediation_p95_ms", Colour.GREEN),
    highest("Response mediation", "response_mediation_p95_ms", Colour.PURPLE),
)

LATENCY = Sheet(
    "latency",
    "Latency",
    "95th percentiles as the service gives them. They are never summed or averaged here: where "
    "several come together, the highest is shown.",
    (
        Panel(
            "daily_p95",
            "Highest daily p95",
            "The highest 95th percentile over a whole day.",
            "latency_daily",
            Kind.FIGURE,
            (DAILY_P95,),
            NO_LATENCY,
        ),
        Panel(
            "hourly_p95",
            "Highest hourly p95",
            "The highest 95th percentile of a single hour.",
            "latency_daily",
            Kind.FIGURE,
            (highest("Highest hourly p95", "highest_hourly_p95_ms", Colour.BLUE),),
            NO_LATENCY,
        ),
        Panel(
            "p95_by_hour",
            "p95 by hour",
            "95th percentile of the response time, for each environment.",
            "latency_hourly",
            Kind.LINE,
            (_HOURLY_P95,),
            NO_LATENCY,
            x=HOUR,
            series=ENVIRONMENT,
        ),
        Panel(
            "slowest_apis",
            "Slowest APIs",
            "Highest daily p95 of the APIs that were among a day's ten slowest.",
            "slowest_apis_daily",
            Kind.BAR,
            (DAILY_P95,),
            NO_LATENCY,
            x=API,
            filters=ALL_FILTERS,
            order=(Order("Highest daily p95"),),
            top=10,
            target="p95_ms",
        ),
        Panel(
            "latency_parts",
            "Where the time goes",
            "Highest hourly p95 of each day. The parts do not add up to the response.",
            "api_latency_hourly",
            Kind.LINE,
            _PARTS,
            NO_LATENCY,
            x=DAY_OF_HOUR,
            filters=ALL_FILTERS,
        ),
        Panel(
            "latency_before",
            "Response time of each API, and before",
            "The highest daily p95 against that of the days before those chosen, as many.",
            "api_latency_daily",
            Kind.TABLE,
            (DAILY_P95_OF_API,),
            NO_LATENCY,
            dimensions=(API,),
            filters=ALL_FILTERS,
            order=(Order("Highest daily p95"),),
            top=20,
            compares=True,
        ),
        Panel(
            "api_latencies",
            "Latencies of each API",
            "The highest p95 and the highest median of any hour, in ms.",
            "api_latency_hourly",
            Kind.TABLE,
            (*_PARTS, highest("Response median", "response_median_ms")),
            NO_LATENCY,
            dimensions=(API, VERSION),
            filters=ALL_FILTERS,
            order=(Order("Response"),),
            top=100,
        ),
        Panel(
            "latency_days",
            "Latency of each day",
            "The day's own p95; the highest of its hours; and the hours' p95 averaged by requests,"
            " which is not a percentile.",
            "latency_daily",
            Kind.TABLE,
            (
                Measure("p95", "p95_ms", Aggregation.AS_IS, Unit.MILLISECONDS),
                Measure(
                    "Highest hour", "highest_hourly_p95_ms", Aggregation.AS_IS, Unit.MILLISECONDS
                ),
                Measure(
                    "Mean of hourly p95, by requests",
                    "mean_hourly_p95_weighted_by_requests_ms",
                    Aggregation.AS_IS,
                    Unit.MILLISECONDS,
                ),
            ),
            NO_LATENCY,
            dimensions=(DAY, ORGANIZATION, ENVIRONMENT),
            order=(Order("Day (UTC)"), Order("p95")),
            top=100,
        ),
    ),
)
_NO_LOOKUP = "No request looked into the cache in these days."
_HITS = Measure("Hits", "hits", colour=Colour.BLUE)
_MISSES = Measure("Misses", "misses", colour=Colour.ORANGE)
_HIT_RATE = percent("Hit rate", "hits", ("hits", "misses"), Colour.GREEN)

CACHE = Sheet(
    "cache",
    "Cache",
    "How often the response cache answered.",
    (
        Panel(
            "hits",
            "Hits",
            "Requests that the cache answered.",
            "cache_daily",
            Kind.FIGURE,
            (_HITS,),
            _NO_LOOKUP,
        ),
        Panel(
            "misses",
            "Misses",
            "Requests that the cache could not answer.",
            "cache_daily",
            Kind.FIGURE,
            (_MISSES,),
            _NO_LOOKUP,
        ),
        Panel(
            "hit_rate",
            "Hit rate",
            "Hits in percent of hits and misses.",
            "cache_daily",
            Kind.FIGURE,
            (_HIT_RATE,),
            _NO_LOOKUP,
        ),
        Panel(
            "cache_over_time",
            "Hits and misses over time",
            "Of all APIs together.",
            "cache_hourly",
            Kind.STACKED,
            (_HITS, _MISSES),
            _NO_LOOKUP,
            x=HOUR,
        ),
        Panel(
            "hit_rate_by_day",
            "Hit rate by day",
            "Hits in percent of hits and misses, for each environment.",
            "cache_daily",
            Kind.LINE,
            (_HIT_RATE,),
            _NO_LOOKUP,
            x=DAY,
            series=ENVIRONMENT,
        ),
    ),
)
