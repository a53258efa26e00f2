-- Hits and misses of the response cache by hour
-- Grain: organisation, environment, hour with any look-up.
-- hits: Requests answered from the cache.
-- misses: Requests that the cache could not answer.
-- hit_percent: Hits in percent of hits and misses, 0 to 100, as given. Not additive.
SELECT
  day,
  organization,
  environment,
  time_span AS hour,
  hits,
  misses,
  hit_percentage AS hit_percent
FROM cache_hits_and_misses
