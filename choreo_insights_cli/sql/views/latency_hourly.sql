-- 95th percentile of the response time by hour
-- Grain: organisation, environment, hour.
-- Over all APIs of the environment. Neither its sum nor its average over hours is a percentile.
-- With
-- several tenants it is the largest of theirs.
-- p95_ms: 95th percentile of the response time in the hour, in ms, as given. Not additive.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    max(latency_time) AS p95_ms
  FROM latency_summary
  GROUP BY day, organization, environment_id, time_span
)
SELECT
  l.day,
  l.organization,
  coalesce(e.environment, l.environment) AS environment,
  l.environment_id,
  l.hour,
  l.p95_ms
FROM hours AS l
LEFT JOIN environment_names AS e
  ON e.organization = l.organization AND e.environment_id = l.environment_id
