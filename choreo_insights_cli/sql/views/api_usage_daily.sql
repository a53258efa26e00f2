-- Requests and errors of each API by day
-- Grain: organisation, environment, API, day.
-- Only APIs that were listed when the day was asked for: the sum can be lower than the traffic.
-- requests: All requests to the API, successes and errors together.
-- errors: Failed requests to the API.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, api_id,
    total_traffic_by_api AS requests, CAST(NULL AS bigint) AS errors
  FROM total_traffic_by_api
  UNION ALL
  SELECT
    day, organization, environment_id, environment, api_id,
    CAST(NULL AS bigint) AS requests, proxy AS errors
  FROM total_errors_by_api
),
usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, api_id,
    sum(requests) AS requests, sum(errors) AS errors
  FROM parts
  GROUP BY day, organization, environment_id, api_id
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  u.requests,
  u.errors,
  100e0 * u.errors / nullif(u.requests, 0) AS error_percent
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
