-- Which APIs were called most in the last 7 full days?
-- The twenty with the most requests of each environment. The percentage is of days with both
-- figures.
WITH usage AS (
  SELECT
    organization, environment, api_id, api_name, api_version,
    sum(requests) AS requests, sum(errors) AS errors,
    100e0 * sum(errors) FILTER (WHERE requests IS NOT NULL)
    / nullif(sum(requests) FILTER (WHERE errors IS NOT NULL), 0) AS error_percent
  FROM api_usage_daily
  WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
  GROUP BY organization, environment, api_id, api_name, api_version
),
placed AS (
  SELECT
    organization, environment, api_name, api_version, requests, errors, error_percent,
    rank() OVER (PARTITION BY organization, environment ORDER BY requests DESC) AS place
  FROM usage
)
SELECT
  organization, environment, place, api_name, api_version, requests, errors,
  round(error_percent, 2) AS error_percent
FROM placed
WHERE place <= 20
ORDER BY organization, environment, place, api_name
