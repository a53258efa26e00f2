-- Requests, errors and 95th percentile of the response time by day
-- Grain: organisation, environment, day.
-- As the service gives them for whole days; requests to deleted APIs count too.
-- requests: All requests, successes and errors together.
-- successes: Successful requests.
-- errors: Failed requests.
-- p95_ms: 95th percentile of the response time over the day, in ms, as given. Not additive.
WITH parts AS (
  SELECT
    day, organization, environment, total_traffic AS requests,
    CAST(NULL AS bigint) AS errors, CAST(NULL AS double) AS p95_ms
  FROM total_traffic
  UNION ALL
  SELECT
    day, organization, environment, CAST(NULL AS bigint) AS requests,
    total_errors AS errors, CAST(NULL AS double) AS p95_ms
  FROM total_errors
  UNION ALL
  SELECT
    day, organization, environment, CAST(NULL AS bigint) AS requests,
    CAST(NULL AS bigint) AS errors, overall_latency AS p95_ms
  FROM overall_latency
)
SELECT
  day,
  organization,
  environment,
  sum(requests) AS requests,
  sum(requests) - sum(errors) AS successes,
  sum(errors) AS errors,
  100e0 * sum(errors) / nullif(sum(requests), 0) AS error_percent,
  max(p95_ms) AS p95_ms
FROM parts
GROUP BY day, organization, environment
