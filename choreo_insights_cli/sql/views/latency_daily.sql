-- 95th percentile of the response time by day, and what its hours tell
-- Grain: organisation, environment, day.
-- Only p95_ms is a percentile of the day; the others say what they are. With several tenants each
-- percentile is the largest of theirs.
-- p95_ms: 95th percentile of the response time over the day, in ms, as given. Not additive.
-- highest_hourly_p95_ms: The highest of the hours' 95th percentiles, in ms.
-- mean_hourly_p95_weighted_by_requests_ms: Mean of the hours' 95th percentiles, each weighing as
--   much as the hour has requests, in ms. Not a percentile.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, p95_ms,
    CAST(NULL AS double) AS hour_p95_ms, CAST(NULL AS bigint) AS requests
  FROM traffic_daily
  WHERE p95_ms IS NOT NULL
  UNION ALL
  SELECT
    l.day, l.organization, l.environment_id, l.environment, CAST(NULL AS double) AS p95_ms,
    l.p95_ms AS hour_p95_ms, t.requests
  FROM latency_hourly AS l
  LEFT JOIN traffic_hourly AS t
    ON t.day = l.day AND t.organization = l.organization AND t.environment_id = l.environment_id
    AND t.hour = l.hour
  WHERE l.p95_ms IS NOT NULL
)
SELECT
  day,
  organization,
  max(environment) AS environment,
  environment_id,
  max(p95_ms) AS p95_ms,
  max(hour_p95_ms) AS highest_hourly_p95_ms,
  sum(hour_p95_ms * requests) / nullif(sum(CAST(requests AS double)), 0e0)
    AS mean_hourly_p95_weighted_by_requests_ms
FROM parts
GROUP BY day, organization, environment_id
