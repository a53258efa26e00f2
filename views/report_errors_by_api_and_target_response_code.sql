-- Custom report: requests that failed at the backend, by API, its status code and hour
-- Grain: organisation, environment, API name, status code, hour with any error.
-- Told by names, not ids: two APIs of one name are one row.
-- api_name: Name of the API.
-- target_response_code: HTTP status code of the backend as text.
-- errors: Failed requests.
SELECT
  day,
  organization,
  environment,
  time_span AS hour,
  api_name,
  target_response_code,
  errors
FROM errors_by_api_and_target_response_code
