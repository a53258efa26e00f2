-- Requests to each API by hour
-- Grain: organisation, environment, API, hour with any request.
-- Only APIs that were listed when the day was asked for: the sum can be lower than the traffic.
WITH usage AS (
  SELECT
    day, organization, environment, time_span AS hour,
    coalesce(api_id_resolved, api_id) AS api_id, sum("count") AS requests
  FROM api_usage_over_time
  GROUP BY day, organization, environment, time_span, coalesce(api_id_resolved, api_id)
)
SELECT
  u.day,
  u.organization,
  u.environment,
  u.hour,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  u.requests
FROM usage AS u
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment = u.environment AND n.api_id = u.api_id
