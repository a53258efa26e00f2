-- At what hour of the day is there most traffic?
-- Requests by the hour of the day (UTC), over the days with any traffic of the last 14 whole days.
-- Only days count whose hours were all queried: what is not known is no quiet hour.
WITH queried AS (
  SELECT organization, environment_id, day
  FROM export_days
  WHERE
    day >= current_date - INTERVAL '14' DAY AND day < current_date
    AND table_name IN ('success_summary', 'error_summary')
    AND data_until >= CAST(day + INTERVAL '1' DAY AS timestamp)
  GROUP BY organization, environment_id, day
  HAVING count(*) = 2
),
known AS (
  SELECT t.organization, t.environment, t.day, t.hour, t.requests
  FROM traffic_hourly AS t
  INNER JOIN queried AS q
    ON q.organization = t.organization AND q.environment_id = t.environment_id AND q.day = t.day
  WHERE t.day >= current_date - INTERVAL '14' DAY AND t.day < current_date
),
days AS (
  SELECT organization, environment, count(DISTINCT day) AS days
  FROM known
  GROUP BY organization, environment
),
hours AS (
  SELECT
    organization, environment, hour(hour) AS hour_of_day,
    sum(requests) AS requests, max(requests) AS most_requests
  FROM known
  GROUP BY organization, environment, hour(hour)
)
SELECT
  h.organization, h.environment, h.hour_of_day,
  round(1e0 * h.requests / d.days, 1) AS mean_requests, h.most_requests
FROM hours AS h
INNER JOIN days AS d ON d.organization = h.organization AND d.environment = h.environment
ORDER BY h.organization, h.environment, h.hour_of_day
