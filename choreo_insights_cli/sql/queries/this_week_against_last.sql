-- How did each API's traffic change against the week before?
-- The last 7 full days against the seven before them; no change where a day is not known.
WITH weeks AS (
  SELECT
    organization, environment, api_name, api_version,
    sum(CASE WHEN day >= current_date - INTERVAL '7' DAY THEN requests END) AS requests,
    sum(CASE WHEN day < current_date - INTERVAL '7' DAY THEN requests END) AS requests_before,
    count(DISTINCT CASE WHEN requests IS NOT NULL THEN day END) = 14 AS all_known
  FROM api_usage_daily
  WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
  GROUP BY organization, environment, api_name, api_version
),
changes AS (
  SELECT
    organization, environment, api_name, api_version, requests, requests_before,
    CASE WHEN all_known THEN requests - requests_before END AS change
  FROM weeks
)
SELECT
  organization, environment, api_name, api_version, requests, requests_before, change,
  round(100e0 * change / nullif(requests_before, 0), 1) AS change_percent
FROM changes
ORDER BY organization, environment, requests DESC, api_name, api_version
