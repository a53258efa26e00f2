-- At what hour of the day is there most traffic?
-- Requests by the hour of the day (UTC), over the days with any traffic of the last 14 whole days.
WITH days AS (
  SELECT organization, environment, count(DISTINCT day) AS days
  FROM traffic_hourly
  WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
  GROUP BY organization, environment
),
hours AS (
  SELECT
    organization, environment, hour(hour) AS hour_of_day,
    sum(requests) AS requests, max(requests) AS most_requests
  FROM traffic_hourly
  WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
  GROUP BY organization, environment, hour(hour)
)
SELECT
  h.organization, h.environment, h.hour_of_day,
  round(1e0 * h.requests / d.days, 1) AS mean_requests, h.most_requests
FROM hours AS h
INNER JOIN days AS d ON d.organization = h.organization AND d.environment = h.environment
ORDER BY h.organization, h.environment, h.hour_of_day
