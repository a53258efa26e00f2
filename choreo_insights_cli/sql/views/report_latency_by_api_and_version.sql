-- Custom report: latency by API, version and hour
-- Grain: organisation, environment, API name, API version, hour.
-- What the service makes of many requests here is not documented: compare it with
-- api_latency_hourly before relying on it. With several tenants it is the largest of theirs.
-- api_name: Name of the API.
-- api_version: Version of the API.
-- latency_ms: Total latency in ms, as given. Not additive.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    api_name, api_version, max(total_latency) AS latency_ms
  FROM total_latency_by_api_and_version
  GROUP BY day, organization, environment_id, time_span, api_name, api_version
)
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.hour,
  r.api_name,
  r.api_version,
  r.latency_ms
FROM hours AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
