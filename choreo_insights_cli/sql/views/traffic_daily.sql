-- Requests, errors and 95th percentile of the response time by day
-- Grain: organisation, environment, day.
-- As the service gives them for whole days; requests to deleted APIs count too. With several
-- tenants counts are the sum of theirs, and the percentile is the largest of theirs.
-- requests: All requests, successes and errors together.
-- successes: Successful requests.
-- errors: Failed requests.
-- p95_ms: 95th percentile of the response time over the day, in ms, as given. Not additive.
-- requests_as_of: When the requests were queried (UTC).
-- errors_as_of: When the errors were queried (UTC).
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, total_traffic AS requests,
    CAST(NULL AS bigint) AS errors, CAST(NULL AS double) AS p95_ms,
    exported_at AS requests_as_of, CAST(NULL AS timestamp) AS errors_as_of
  FROM total_traffic
  UNION ALL
  SELECT
    day, organization, environment_id, environment, CAST(NULL AS bigint) AS requests,
    total_errors AS errors, CAST(NULL AS double) AS p95_ms,
    CAST(NULL AS timestamp) AS requests_as_of, exported_at AS errors_as_of
  FROM total_errors
  UNION ALL
  SELECT
    day, organization, environment_id, environment, CAST(NULL AS bigint) AS requests,
    CAST(NULL AS bigint) AS errors, overall_latency AS p95_ms,
    CAST(NULL AS timestamp) AS requests_as_of, CAST(NULL AS timestamp) AS errors_as_of
  FROM overall_latency
),
days AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    sum(requests) AS requests, sum(errors) AS errors, max(p95_ms) AS p95_ms,
    max(requests_as_of) AS requests_as_of, max(errors_as_of) AS errors_as_of
  FROM parts
  GROUP BY day, organization, environment_id
)
SELECT
  d.day,
  d.organization,
  coalesce(e.environment, d.environment) AS environment,
  d.environment_id,
  d.requests,
  d.requests - d.errors AS successes,
  d.errors,
  100e0 * d.errors / nullif(d.requests, 0) AS error_percent,
  d.p95_ms,
  d.requests_as_of,
  d.errors_as_of
FROM days AS d
LEFT JOIN environment_names AS e
  ON e.organization = d.organization AND e.environment_id = d.environment_id
