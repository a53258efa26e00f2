-- How often did each application call each API, by month?
-- Of the last twelve months; the current month is not whole.
SELECT
  organization, environment, CAST(date_trunc('month', day) AS date) AS month,
  application_name, application_owner, api_name, api_version, sum(requests) AS requests
FROM api_application_usage_daily
WHERE day >= date_trunc('month', current_date) - INTERVAL '11' MONTH
GROUP BY
  organization, environment, CAST(date_trunc('month', day) AS date), application_name,
  application_owner, api_name, api_version
ORDER BY
  organization, environment, month DESC, requests DESC, application_name, api_name, api_version
