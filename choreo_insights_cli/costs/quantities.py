"""How much of each priced item a stack uses, by the ids of `prices.toml`."""

import math
from collections import Counter

from choreo_insights.export.budget import RENEW
from choreo_insights_cli.costs.partition_size import object_bytes
from choreo_insights_cli.costs.usage import DAYS_A_MONTH, LIST_SECONDS, START_SECONDS, Usage

# What the template has: memory, keys, alarms, metrics, what Glue knows beside the tables.
EXPORT_GB, TOKEN_GB = 1769 / 1024, 512 / 1024
KEYS = 1
# Each metric that an alarm looks at is paid for.
ALARMS = 10
METRICS = 5
VIEWS, OWN_TABLES = 43, 5
# QuickSight's data sets, and what they read: tables by day, the ledger by day, the ledger's last
# days on the whole, and the registry: an object of names for each environment, and one for each
# organisation.
DATA_SETS, TABLES_READ, LEDGER_READ, LEDGER_DAYS = 33, 43, 4, 92
NAMES_READ, ENVIRONMENTS_READ = 15, 33
# A backfill: parts at a time, days of a part, the most parts, steps of a part and of the whole.
WORKERS, SPAN_DAYS, MOST_PARTS = 4, 7, 1_500
_STEPS_A_PART, _STEPS = 4, 6

_GB, _TB = 1e9, 1e12
_FREE_ROTATIONS_FROM = 2
_TOKEN_SECONDS = 2.0
_STANDARD_BYTES = 4_096
# Of a mint, beside those of the run that wants it: the token and its lease.
_DECRYPTIONS_A_MINT, _CALLS_A_MINT = 4, 8
_LOG_BYTES_A_RUN, _LOG_BYTES_A_MINT = 4_000, 2_500
_BYTES_A_QUERY, _BYTES_A_REQUEST = 330, 2_500
# Athena counts at least so much of a query; it reads an object's end, then what it needs of it.
_LEAST_SCANNED = 10_000_000
_READS_AN_OBJECT, _WRITES_A_QUERY = 2, 2
# An hourly refresh of QuickSight reads these days again.
_HOURS, _REFRESHED_DAYS = 24, 3
_SPICE_BYTES_A_ROW = 200
_SPICE_GB_AN_AUTHOR = 10


def monthly(usage: Usage) -> dict[str, float]:
    month: Counter[str] = Counter(_standing(usage))
    for part in (_runs(usage), _queries(usage), _refreshes(usage)):
        month.update({name: amount * DAYS_A_MONTH for name, amount in part.items()})
    month["logs-storage"] = month["logs"]
    return dict(month)


def _standing(usage: Usage) -> dict[str, float]:
    """The quantities of a month that do not depend on runs or queries."""
    inputs = usage.inputs
    rotations = min(_FREE_ROTATIONS_FROM, inputs.history_days // 365)
    spice = spice_gb(usage) if inputs.authors else 0.0
    return {
        "s3-storage": usage.stored_bytes / _GB,
        "kms-keys": KEYS * (1 + rotations),
        "secrets": inputs.organizations,
        "ssm-advanced": inputs.organizations * (inputs.token_bytes > _STANDARD_BYTES),
        # A metric counts for the hours that it was written in.
        "metrics": METRICS * min(1.0, inputs.runs_a_day / 24),
        "alarms": ALARMS,
        "sns": 2 * inputs.alarms_a_month,
        "sqs": inputs.alarms_a_month,
        "glue": usage.glue_tables + VIEWS + OWN_TABLES,
        "quicksight-authors": inputs.authors,
        "quicksight-readers": inputs.readers,
        "spice": max(0.0, spice - _SPICE_GB_AN_AUTHOR * inputs.authors),
    }


def _runs(usage: Usage) -> dict[str, float]:
    """The quantities of a day's runs."""
    inputs, run = usage.inputs, usage.run
    invocations = usage.a_day("invocations", inputs.runs_a_day)
    mints = usage.a_day("token_invocations", usage.mints)
    # The export function waits, and is billed, while the token function mints.
    modelled = run.seconds * inputs.runs_a_day + mints * _TOKEN_SECONDS
    seconds = usage.a_day("seconds", modelled)
    tokens_read = invocations * inputs.organizations
    calls = tokens_read + mints * _CALLS_A_MINT
    # A run takes a slot of the request budget, renews it, and releases it.
    renewals = 2 * invocations + seconds / RENEW
    sent = usage.queries * _BYTES_A_QUERY + usage.requests * _BYTES_A_REQUEST
    return {
        "lambda-requests": invocations + mints,
        f"lambda-{inputs.architecture}": seconds * EXPORT_GB + mints * _TOKEN_SECONDS * TOKEN_GB,
        "s3-writes": usage.puts + usage.pages * invocations + renewals,
        # With the slots of four parts.
        "s3-reads": usage.gets + 4 * renewals,
        "kms-requests": tokens_read + mints * _DECRYPTIONS_A_MINT,
        "secrets-requests": tokens_read + mints,
        "ssm-requests": calls * (inputs.token_bytes > _STANDARD_BYTES),
        "logs": (invocations * _LOG_BYTES_A_RUN + mints * _LOG_BYTES_A_MINT) / _GB,
        "schedules": inputs.runs_a_day,
        "transfer": sent / _GB,
    }


def _objects_of_query(usage: Usage, days: int) -> float:
    """The objects that a query of one table opens: its own, and those of the registry."""
    return usage.inputs.places * (days + 1) + usage.inputs.organizations


def _queries(usage: Usage) -> dict[str, float]:
    """The quantities of a day's Athena queries."""
    inputs = usage.inputs
    queries = usage.a_day("queries", inputs.queries_a_day)
    days = min(inputs.query_days, inputs.history_days)
    each = max(_LEAST_SCANNED, days * usage.bytes_a_day / max(1, len(usage.daily)))
    scanned = max(queries * _LEAST_SCANNED, usage.a_day("scanned_bytes", queries * each))
    return {
        "athena": scanned / _TB,
        "s3-reads": queries * _objects_of_query(usage, days) * _READS_AN_OBJECT,
        "s3-writes": queries * (days + _WRITES_A_QUERY),
    }


def _refreshes(usage: Usage) -> dict[str, float]:
    """Of a day of QuickSight: every hour the last days of each data set, once a week all."""
    inputs = usage.inputs
    if not inputs.authors:
        return {}
    history = inputs.history_days
    all_days = min(inputs.quicksight_days, history)
    times = ((_HOURS, min(_REFRESHED_DAYS, history)), (1 / 7, all_days))
    queries = sum(often for often, _ in times) * DATA_SETS
    folders = opened = scanned = 0.0
    for often, days in times:
        of_ledger = LEDGER_READ * days + min(LEDGER_DAYS, history)
        of_places = TABLES_READ * days + NAMES_READ
        folders += often * (of_places + of_ledger + ENVIRONMENTS_READ)
        of_registry = ENVIRONMENTS_READ * inputs.organizations
        opened += often * (
            of_places * inputs.places + of_ledger * usage.ledger_objects + of_registry
        )
        scanned += often * days * usage.bytes_a_day
    return {
        "athena": max(queries * _LEAST_SCANNED, scanned) / _TB,
        "s3-reads": opened * _READS_AN_OBJECT,
        "s3-writes": folders + queries * _WRITES_A_QUERY,
    }


def spice_gb(usage: Usage) -> float:
    """The size of QuickSight's data sets in SPICE, in GB."""
    days = min(usage.inputs.quicksight_days, usage.inputs.history_days)
    return usage.rows_a_day * days * _SPICE_BYTES_A_ROW / _GB


def backfill_minutes(usage: Usage) -> float:
    """How long exporting the whole history takes: four parts share what a minute allows."""
    inputs = usage.inputs
    requests = usage.queries_of_a_day / inputs.batch_size * inputs.history_days
    at_once = requests * inputs.seconds_a_request / (WORKERS * inputs.concurrency)
    return max(requests / inputs.requests_per_minute, at_once / 60)


def backfill_quantities(usage: Usage) -> dict[str, float]:
    """The quantities of one backfill of the whole history."""
    inputs = usage.inputs
    days, size = inputs.history_days, inputs.size
    parts = min(MOST_PARTS, math.ceil(days / SPAN_DAYS) * inputs.places)
    tables = [table for table in usage.daily if table.kept_days is None]
    written = days * sum(map(usage.copies, tables)) + days * inputs.places + parts * SPAN_DAYS
    started = parts * (START_SECONDS + len(tables) * LIST_SECONDS)
    seconds = WORKERS * backfill_minutes(usage) * 60 + started
    queries = usage.queries_of_a_day * days
    sent = queries * (_BYTES_A_QUERY + _BYTES_A_REQUEST / inputs.batch_size)
    stored = days * sum(object_bytes(table, size) * usage.copies(table) for table in tables)
    return {
        "lambda-requests": parts,
        f"lambda-{inputs.architecture}": seconds * EXPORT_GB,
        "s3-writes": written + parts * len(tables),
        "s3-reads": days * inputs.places * len(tables),
        "s3-storage": stored / _GB,
        "transitions": parts * _STEPS_A_PART + _STEPS,
        "transfer": sent / _GB,
    }
