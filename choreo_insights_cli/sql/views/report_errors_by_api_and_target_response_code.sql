-- Custom report: requests that failed at the backend, by API, its status code and hour
-- Grain: organisation, environment, API name, status code, hour with any error.
-- Told by names, not ids: two APIs of one name are one row.
-- api_name: Name of the API.
-- target_response_code: HTTP status code of the backend as text.
-- errors: Failed requests.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    api_name, target_response_code, sum(errors) AS errors
  FROM errors_by_api_and_target_response_code
  GROUP BY day, organization, environment_id, time_span, api_name, target_response_code
)
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.hour,
  r.api_name,
  r.target_response_code,
  r.errors
FROM hours AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
