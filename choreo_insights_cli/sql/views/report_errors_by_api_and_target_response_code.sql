-- Custom report: requests that failed at the backend, by API, its status code and hour
-- Grain: organisation, environment, API name, status code, hour with any error.
-- Told by names, not ids: two APIs of one name are one row.
-- api_name: Name of the API.
-- target_response_code: HTTP status code of the backend as text.
-- errors: Failed requests.
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.time_span AS hour,
  r.api_name,
  r.target_response_code,
  r.errors
FROM errors_by_api_and_target_response_code AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
