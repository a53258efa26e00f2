-- 95th percentile of the response time by hour
-- Grain: organisation, environment, hour.
-- Over all APIs of the environment. Neither its sum nor its average over hours is a percentile.
-- p95_ms: 95th percentile of the response time in the hour, in ms, as given. Not additive.
SELECT
  day,
  organization,
  environment,
  time_span AS hour,
  latency_time AS p95_ms
FROM latency_summary
