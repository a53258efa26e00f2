-- At what hour of each weekday is there most traffic?
-- The three busiest hours (UTC) of Monday (1) to Sunday (7) in the last 28 days before today, by
-- their mean over the days of that weekday with a figure.
WITH hours AS (
  SELECT
    organization, environment, day_of_week(day) AS weekday, hour(hour) AS hour_of_day,
    count(DISTINCT day) AS days, sum(requests) AS requests, max(requests) AS most_requests
  FROM traffic_hourly
  WHERE
    day >= current_date - INTERVAL '28' DAY AND day < current_date AND requests IS NOT NULL
  GROUP BY organization, environment, day_of_week(day), hour(hour)
),
placed AS (
  SELECT
    organization, environment, weekday, hour_of_day, days, most_requests,
    1e0 * requests / nullif(days, 0) AS mean_requests,
    row_number() OVER (
      PARTITION BY organization, environment, weekday
      ORDER BY 1e0 * requests / nullif(days, 0) DESC, hour_of_day
    ) AS place
  FROM hours
)
SELECT
  organization, environment, weekday, place, hour_of_day, round(mean_requests, 1) AS mean_requests,
  most_requests, days
FROM placed
WHERE place <= 3
ORDER BY organization, environment, weekday, place
