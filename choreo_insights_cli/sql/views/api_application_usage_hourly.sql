-- Requests of each application to each API by hour
-- Grain: organisation, environment, API, application, hour with any request.
-- Callers without an application are the application UNKNOWN. Only APIs that were listed when the
-- day was queried: the sum can be lower than the traffic.
-- project: The API's project, where the parameter Projects names it.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour, api_id,
    application_id, max(application_name) AS application_name,
    max(application_owner) AS application_owner, sum("count") AS requests
  FROM api_application_usage_over_time
  GROUP BY day, organization, environment_id, time_span, api_id, application_id
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hour,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  u.application_id,
  coalesce(a.application_name, u.application_name) AS application_name,
  coalesce(a.application_owner, u.application_owner) AS application_owner,
  u.requests,
  n.project
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
LEFT JOIN application_names AS a
  ON a.organization = u.organization AND a.environment_id = u.environment_id
  AND a.application_id = u.application_id
