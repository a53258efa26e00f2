-- At what hour of the day is there most traffic?
-- Mean requests of each hour of the day (UTC) over the last 14 whole days; days without a request
-- in that hour count too.
SELECT
  organization, environment, hour(hour) AS hour_of_day,
  sum(requests) / 14e0 AS mean_requests, max(requests) AS most_requests
FROM traffic_hourly
WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
GROUP BY organization, environment, hour(hour)
ORDER BY organization, environment, hour_of_day
