-- 95th percentile of the response time by calendar month
-- Grain: organisation, environment, month; its first day is the day.
-- Of the month that still runs as far as it was queried. Not made from days. With several tenants
-- it
-- is the largest of theirs.
-- p95_ms: 95th percentile of the response time over the month, in ms, as given. Not additive.
-- queried_at: When it was queried (UTC).
WITH months AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    max(overall_latency_by_month) AS p95_ms, max(exported_at) AS queried_at
  FROM overall_latency_by_month
  GROUP BY day, organization, environment_id
)
SELECT
  m.day,
  m.organization,
  coalesce(e.environment, m.environment) AS environment,
  m.environment_id,
  m.p95_ms,
  m.queried_at
FROM months AS m
LEFT JOIN environment_names AS e
  ON e.organization = m.organization AND e.environment_id = m.environment_id
