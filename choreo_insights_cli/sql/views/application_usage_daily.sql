-- Requests of each application by day
-- Grain: organisation, environment, application, day.
-- Callers without an application are the application UNKNOWN.
-- apis: How many APIs the application called.
SELECT
  day,
  organization,
  max(environment) AS environment,
  environment_id,
  application_id,
  application_name,
  application_owner,
  CASE WHEN count(api_id) = count(*) THEN count(DISTINCT api_id) END AS apis,
  sum(requests) AS requests
FROM api_application_usage_daily
GROUP BY day, organization, environment_id, application_id, application_name, application_owner
