"""The current time in translated SQL: two placeholders, which the caller fills."""

from datetime import UTC, datetime

TODAY, NOW = "${today}", "${now}"


def at(template: str, now: datetime | None = None) -> str:
    """The query as of an aware time, or of the current one."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return template.replace(TODAY, moment.date().isoformat()).replace(NOW, moment.isoformat())
