-- Custom report: requests by application, the backend's status code and hour
-- Grain: organisation, environment, application name, status code, hour with any request.
-- Told by names, not ids: two applications of one name are one row.
-- application_name: Name of the application.
-- target_response_code: HTTP status code of the backend as text. Requests that reached no backend,
--   such as those that the gateway throttled, have none of HTTP's.
-- requests: Requests.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    application_name, target_response_code, sum(hits) AS requests
  FROM hits_by_application_and_target_response_code
  GROUP BY day, organization, environment_id, time_span, application_name, target_response_code
)
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.hour,
  r.application_name,
  r.target_response_code,
  r.requests
FROM hours AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
