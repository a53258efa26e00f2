-- Hits and misses of the response cache by hour
-- Grain: organisation, environment, hour with any look-up.
-- hits: Requests answered from the cache.
-- misses: Requests that the cache could not answer.
-- hit_percent: Hits in percent of hits and misses, 0 to 100, as given; with several tenants from
--   the sum of their counts. Not additive.
WITH hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    sum(hits) AS hits, sum(misses) AS misses, max(hit_percentage) AS given, count(*) AS tenants
  FROM cache_hits_and_misses
  GROUP BY day, organization, environment_id, time_span
)
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.hour,
  c.hits,
  c.misses,
  CASE WHEN c.tenants = 1 THEN c.given ELSE 100e0 * c.hits / nullif(c.hits + c.misses, 0) END
    AS hit_percent
FROM hours AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
