-- How available was each API last month?
-- Two measures: without_5xx_percent leaves out what failed at the server (5xx), available_percent
-- what was answered with 4xx too. Compare the one that your target means. Days are those with
-- figures.
SELECT
  organization, environment, api_name, api_version,
  sum(requests) AS requests, sum(down) AS answered_5xx, sum(limited) AS answered_4xx,
  round(100e0 - 100e0 * sum(down) / nullif(sum(requests), 0), 3) AS without_5xx_percent,
  round(100e0 * sum(available) / nullif(sum(requests), 0), 3) AS available_percent,
  count(DISTINCT day) AS days
FROM availability_daily
WHERE
  day >= date_trunc('month', current_date) - INTERVAL '1' MONTH
  AND day < date_trunc('month', current_date)
GROUP BY organization, environment, api_name, api_version
ORDER BY without_5xx_percent, organization, environment, api_name, api_version
