-- Which resources were called before, and not lately?
-- Not in the last 7 full days or today, but in the 92 days before. A resource that nobody ever
-- called is in no answer of the service, and so in none here.
WITH called AS (
  SELECT
    organization, environment, api_name, api_version, method, resource,
    max(day) AS last_called, sum(requests) AS requests
  FROM resource_usage_daily
  WHERE day >= current_date - INTERVAL '99' DAY AND requests > 0 AND resource <> ''
  GROUP BY organization, environment, api_name, api_version, method, resource
)
SELECT
  organization, environment, api_name, api_version, method, resource, last_called,
  requests AS requests_before
FROM called
WHERE last_called < current_date - INTERVAL '7' DAY
ORDER BY organization, environment, api_name, api_version, resource, method
