-- Hits and misses of the response cache by hour
-- Grain: organisation, environment, hour with any look-up.
-- hits: Requests answered from the cache.
-- misses: Requests that the cache could not answer.
-- hit_percent: Hits in percent of hits and misses, 0 to 100, as given. Not additive.
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.time_span AS hour,
  c.hits,
  c.misses,
  c.hit_percentage AS hit_percent
FROM cache_hits_and_misses AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
