-- Did the response times of an API get worse than in the week before?
-- The highest daily p95 and the highest daily median of the last 7 full days and of the seven days
-- before them; percentiles are never averaged. No change where either week has no figure.
WITH weeks AS (
  SELECT
    organization, environment, api_name, api_version,
    max(CASE WHEN day >= current_date - INTERVAL '7' DAY THEN response_p95_ms END) AS p95_ms,
    max(CASE WHEN day < current_date - INTERVAL '7' DAY THEN response_p95_ms END) AS p95_ms_before,
    max(CASE WHEN day >= current_date - INTERVAL '7' DAY THEN response_median_ms END) AS median_ms,
    max(CASE WHEN day < current_date - INTERVAL '7' DAY THEN response_median_ms END)
      AS median_ms_before
  FROM api_latency_daily
  WHERE day >= current_date - INTERVAL '14' DAY AND day < current_date
  GROUP BY organization, environment, api_name, api_version
)
SELECT
  organization, environment, api_name, api_version, p95_ms, p95_ms_before,
  round(100e0 * (p95_ms - p95_ms_before) / nullif(p95_ms_before, 0), 1) AS p95_change_percent,
  median_ms, median_ms_before
FROM weeks
ORDER BY p95_change_percent DESC, organization, environment, api_name, api_version
