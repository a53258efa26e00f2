-- Which alerts were raised in the last 7 full days?
-- Newest first.
SELECT
  raised_at, organization, environment, severity, category, metric, api_name, api_version, message
FROM alerts
WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
ORDER BY raised_at DESC, organization, environment, api_name, category, metric, message
