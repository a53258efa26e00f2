-- Which APIs failed most often, in percent of their requests, in the last 7 full days?
-- Only APIs with a hundred requests or more. The percentage is of days with both figures.
SELECT
  organization, environment, api_name, api_version,
  sum(requests) AS requests, sum(errors) AS errors,
  round(
    100e0 * sum(errors) FILTER (WHERE requests IS NOT NULL)
    / nullif(sum(requests) FILTER (WHERE errors IS NOT NULL), 0),
    2
  ) AS error_percent
FROM api_usage_daily
WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date AND NOT is_remainder
GROUP BY organization, environment, api_name, api_version
HAVING sum(requests) >= 100
ORDER BY error_percent DESC, requests DESC, organization, environment, api_name, api_version
LIMIT 50
