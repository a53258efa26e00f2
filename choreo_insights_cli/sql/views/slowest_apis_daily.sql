-- The slowest APIs of each day
-- Grain: organisation, environment, API, day; the ten slowest.
-- With several tenants the ten slowest of each; an API has the largest percentile of theirs.
-- place: 1 for the slowest of the day; equals share a place.
-- p95_ms: 95th percentile of the response time over the day, in ms, as given. Not additive.
WITH apis AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    coalesce(api_id_resolved, api_id) AS api_id, max(latency) AS p95_ms
  FROM top_slowest_apis
  GROUP BY day, organization, environment_id, coalesce(api_id_resolved, api_id)
),
slowest AS (
  SELECT
    day, organization, environment_id, environment, api_id, p95_ms,
    rank() OVER (PARTITION BY day, organization, environment_id ORDER BY p95_ms DESC) AS place
  FROM apis
)
SELECT
  s.day,
  s.organization,
  coalesce(e.environment, s.environment) AS environment,
  s.environment_id,
  s.place,
  s.api_id,
  coalesce(n.api_name, s.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  s.p95_ms
FROM slowest AS s
LEFT JOIN environment_names AS e
  ON e.organization = s.organization AND e.environment_id = s.environment_id
LEFT JOIN api_names AS n
  ON n.organization = s.organization AND n.environment_id = s.environment_id AND n.api_id = s.api_id
