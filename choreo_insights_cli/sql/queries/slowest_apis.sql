-- Which APIs were slow in the last 7 full days?
-- Percentiles are never averaged: the worst hour's is shown, and on how many days the API was
-- among the ten slowest of its environment; null where no list of them is there.
WITH worst AS (
  SELECT
    organization, environment, api_id, api_name, api_version,
    max(response_p95_ms) AS worst_hourly_p95_ms,
    max(backend_p95_ms) AS worst_hourly_backend_p95_ms,
    max_by(hour, ROW(response_p95_ms, hour)) AS worst_hour
  FROM api_latency_hourly
  WHERE
    day >= current_date - INTERVAL '7' DAY AND day < current_date
    AND response_p95_ms IS NOT NULL
  GROUP BY organization, environment, api_id, api_name, api_version
),
slow AS (
  SELECT organization, environment, api_id, count(*) AS days_among_the_slowest
  FROM slowest_apis_daily
  WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
  GROUP BY organization, environment, api_id
),
listed AS (
  SELECT organization, environment, max(day) AS last_day
  FROM slowest_apis_daily
  WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
  GROUP BY organization, environment
)
SELECT
  w.organization, w.environment, w.api_name, w.api_version, w.worst_hourly_p95_ms,
  w.worst_hourly_backend_p95_ms, w.worst_hour,
  coalesce(s.days_among_the_slowest, CASE WHEN l.last_day IS NOT NULL THEN 0 END)
    AS days_among_the_slowest
FROM worst AS w
LEFT JOIN slow AS s
  ON s.organization = w.organization AND s.environment = w.environment AND s.api_id = w.api_id
LEFT JOIN listed AS l ON l.organization = w.organization AND l.environment = w.environment
ORDER BY w.worst_hourly_p95_ms DESC, w.organization, w.environment, w.api_name, w.api_version
LIMIT 50
