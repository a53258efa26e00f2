-- Requests of each application by day
-- Grain: organisation, environment, application, day.
-- Callers without an application are the application UNKNOWN.
-- apis: How many APIs the application called.
SELECT
  day,
  organization,
  environment,
  application_id,
  application_name,
  application_owner,
  count(DISTINCT api_id) AS apis,
  sum(requests) AS requests
FROM api_application_usage_daily
GROUP BY day, organization, environment, application_id, application_name, application_owner
