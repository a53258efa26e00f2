-- Custom report: latency by API, version and hour
-- Grain: organisation, environment, API name, API version, hour.
-- What the service makes of many requests here is not documented: compare it with
-- api_latency_hourly before relying on it.
-- api_name: Name of the API.
-- api_version: Version of the API.
-- latency_ms: Total latency in ms, as given. Not additive.
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.time_span AS hour,
  r.api_name,
  r.api_version,
  r.total_latency AS latency_ms
FROM total_latency_by_api_and_version AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
