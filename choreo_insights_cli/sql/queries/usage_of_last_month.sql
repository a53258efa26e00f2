-- Which application called which API last month, and is that final?
-- With the share of all requests of the environment that an application is known for.
SELECT
  month, organization, environment, application_name, application_owner, api_name, api_version,
  requests,
  round(
    100e0 * requests / nullif(sum(requests) OVER (PARTITION BY organization, environment), 0), 2
  ) AS share_percent,
  is_final
FROM monthly_usage_by_application
WHERE month = CAST(date_trunc('month', current_date) - INTERVAL '1' MONTH AS date)
ORDER BY organization, environment, requests DESC, application_name, api_name, api_version
