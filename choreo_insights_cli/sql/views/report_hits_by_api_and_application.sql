-- Custom report: requests by API, application and hour
-- Grain: organisation, environment, API name, application name, hour with any request.
-- Told by names, not ids: two APIs of one name are one row.
-- api_name: Name of the API.
-- application_name: Name of the application; UNKNOWN where the caller had none.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    api_name, application_name, sum(hits) AS requests
  FROM hits_by_api_and_application
  GROUP BY day, organization, environment_id, time_span, api_name, application_name
)
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.hour,
  r.api_name,
  r.application_name,
  r.requests
FROM hours AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
