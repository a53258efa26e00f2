-- Hits and misses of the response cache by day
-- Grain: organisation, environment, day with any look-up.
-- hits: Requests answered from the cache.
-- misses: Requests that the cache could not answer.
-- hit_percent: Hits in percent of hits and misses, 0 to 100, from the day's counts. Not additive.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    sum(hits) AS hits, sum(misses) AS misses
  FROM cache_hits_and_misses
  GROUP BY day, organization, environment_id
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hits,
  u.misses,
  100e0 * u.hits / nullif(u.hits + u.misses, 0) AS hit_percent
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
