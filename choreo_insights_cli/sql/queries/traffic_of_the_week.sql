-- How much traffic was there in the last 7 full days, and how much of it failed?
-- By organisation, environment and day, newest first.
SELECT
  organization, environment, day, requests, errors, round(error_percent, 2) AS error_percent,
  p95_ms
FROM traffic_daily
WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
ORDER BY organization, environment, day DESC
