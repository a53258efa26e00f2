-- Traffic by environment and day. A percentile cannot be averaged: the slowest hour's is shown.
WITH successes AS (
  SELECT organization, environment, day, sum(request_count) AS requests
  FROM success_summary
  GROUP BY organization, environment, day
),
errors AS (
  SELECT organization, environment, day, sum(error_count) AS errors
  FROM error_summary
  GROUP BY organization, environment, day
),
latencies AS (
  SELECT organization, environment, day, max(latency_time) AS p95
  FROM latency_summary
  GROUP BY organization, environment, day
)
SELECT
  organization,
  environment,
  cast(day AS varchar) AS day,
  coalesce(requests, 0) + coalesce(errors, 0) AS requests,
  coalesce(errors, 0) AS errors,
  round(p95) AS slowest_hour_p95_ms
FROM successes
FULL JOIN errors USING (organization, environment, day)
LEFT JOIN latencies USING (organization, environment, day)
ORDER BY organization, environment, day
