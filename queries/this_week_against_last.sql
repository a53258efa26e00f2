-- How did each API's traffic change against the week before?
-- The last seven whole days against the seven before them.
WITH weeks AS (
  SELECT
    organization, environment, api_name, api_version,
    sum(CASE WHEN day >= current_date - INTERVAL '7' DAY THEN requests END) AS requests,
    sum(CASE WHEN day < current_date - INTERVAL '7' DAY THEN requests END) AS requests_before
  FROM api_usage_daily
  WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
  GROUP BY organization, environment, api_name, api_version
)
SELECT
  organization, environment, api_name, api_version, requests, requests_before,
  requests - requests_before AS change,
  round(100e0 * (requests - requests_before) / nullif(requests_before, 0), 1) AS change_percent
FROM weeks
ORDER BY organization, environment, requests DESC, api_name, api_version
