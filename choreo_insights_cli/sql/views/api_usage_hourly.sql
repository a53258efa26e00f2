-- Requests to each API by hour
-- Grain: organisation, environment, API, hour with any request.
-- Only APIs that were listed when the day was asked for: the sum can be lower than the traffic.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    coalesce(api_id_resolved, api_id) AS api_id, sum("count") AS requests
  FROM api_usage_over_time
  GROUP BY day, organization, environment_id, time_span, coalesce(api_id_resolved, api_id)
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hour,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
