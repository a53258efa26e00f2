-- Requests to each backend by hour
-- Grain: organisation, environment, backend, hour with any request.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour, backend,
    sum("count") AS requests
  FROM api_usage_by_backend_over_time
  GROUP BY day, organization, environment_id, time_span, backend
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hour,
  u.backend,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
