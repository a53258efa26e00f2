-- Latencies of each API by day: 95th percentiles and medians as given
-- Grain: organisation, environment, API, day that has ended.
-- Percentiles of the whole day, not made from its hours. Neither a sum nor an average of them is a
-- percentile or median of anything. With several tenants each is the largest of theirs.
-- response_p95_ms: 95th percentile of the response time, in ms. Not additive.
-- backend_p95_ms: 95th percentile of the time the backend took, in ms. Not additive.
-- request_mediation_p95_ms: 95th percentile of the time spent on the request
--   in the gateway, in ms. Not additive.
-- response_mediation_p95_ms: 95th percentile of the time spent on the response
--   in the gateway, in ms. Not additive.
-- response_median_ms: Median of the response time, in ms. Not additive.
-- backend_median_ms: Median of the time the backend took, in ms. Not additive.
WITH days AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, api_id,
    max(response) AS response_p95_ms,
    max(backend) AS backend_p95_ms,
    max(request_mediation) AS request_mediation_p95_ms,
    max(response_mediation) AS response_mediation_p95_ms,
    max(response_median) AS response_median_ms,
    max(backend_median) AS backend_median_ms
  FROM latency_daily_by_api
  GROUP BY day, organization, environment_id, api_id
)
SELECT
  l.day,
  l.organization,
  coalesce(e.environment, l.environment) AS environment,
  l.environment_id,
  l.api_id,
  coalesce(n.api_name, l.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  l.response_p95_ms,
  l.backend_p95_ms,
  l.request_mediation_p95_ms,
  l.response_mediation_p95_ms,
  l.response_median_ms,
  l.backend_median_ms
FROM days AS l
LEFT JOIN environment_names AS e
  ON e.organization = l.organization AND e.environment_id = l.environment_id
LEFT JOIN api_names AS n
  ON n.organization = l.organization AND n.environment_id = l.environment_id AND n.api_id = l.api_id
