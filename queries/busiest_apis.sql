-- Which APIs were called most in the last 30 days?
-- The twenty with the most requests of each environment.
WITH usage AS (
  SELECT
    organization, environment, api_id, api_name, api_version,
    sum(requests) AS requests, sum(errors) AS errors
  FROM api_usage_daily
  WHERE day >= current_date - INTERVAL '30' DAY
  GROUP BY organization, environment, api_id, api_name, api_version
),
placed AS (
  SELECT
    organization, environment, api_name, api_version, requests, errors,
    rank() OVER (PARTITION BY organization, environment ORDER BY requests DESC) AS place
  FROM usage
)
SELECT
  organization, environment, place, api_name, api_version, requests, errors,
  round(100e0 * errors / nullif(requests, 0), 2) AS error_percent
FROM placed
WHERE place <= 20
ORDER BY organization, environment, place, api_name
