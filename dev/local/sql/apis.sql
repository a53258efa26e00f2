-- Yesterday's requests by API: display names, projects, and what no listed API explains.
SELECT
  environment,
  api_name,
  project,
  requests,
  errors
FROM api_usage_daily
WHERE organization = 'acme' AND day = current_date - INTERVAL '1' DAY
ORDER BY environment, is_remainder, requests DESC
