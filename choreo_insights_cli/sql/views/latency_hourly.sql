-- 95th percentile of the response time by hour
-- Grain: organisation, environment, hour.
-- Over all APIs of the environment. Neither its sum nor its average over hours is a percentile.
-- p95_ms: 95th percentile of the response time in the hour, in ms, as given. Not additive.
SELECT
  l.day,
  l.organization,
  coalesce(e.environment, l.environment) AS environment,
  l.environment_id,
  l.time_span AS hour,
  l.latency_time AS p95_ms
FROM latency_summary AS l
LEFT JOIN environment_names AS e
  ON e.organization = l.organization AND e.environment_id = l.environment_id
