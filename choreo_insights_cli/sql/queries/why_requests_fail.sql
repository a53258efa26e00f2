-- Why did requests fail in the last 7 full days, at which API, and whose were they?
-- The hundred causes with the most failed requests.
SELECT
  organization, environment, reason, api_name, api_version, application_name,
  sum(errors) AS errors, min(hour) AS first_hour, max(hour) AS last_hour
FROM error_details
WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
GROUP BY organization, environment, reason, api_name, api_version, application_name
ORDER BY errors DESC, organization, environment, reason, api_name, api_version, application_name
LIMIT 100
