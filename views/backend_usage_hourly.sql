-- Requests to each backend by hour
-- Grain: organisation, environment, backend, hour with any request.
SELECT
  day,
  organization,
  environment,
  time_span AS hour,
  backend,
  sum("count") AS requests
FROM api_usage_by_backend_over_time
GROUP BY day, organization, environment, time_span, backend
