-- Requests of each application by hour
-- Grain: organisation, environment, application, hour with any request.
-- Callers without an application are the application UNKNOWN.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    application_id,
    max(application_name) AS application_name, max(application_owner) AS application_owner,
    sum("count") AS requests
  FROM api_usage_by_app_over_time
  GROUP BY day, organization, environment_id, time_span, application_id
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hour,
  u.application_id,
  coalesce(n.application_name, u.application_name) AS application_name,
  coalesce(n.application_owner, u.application_owner) AS application_owner,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN application_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id
  AND n.application_id = u.application_id
