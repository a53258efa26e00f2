-- Hits and misses of the response cache by day
-- Grain: organisation, environment, day with any look-up.
-- hits: Requests answered from the cache.
-- misses: Requests that the cache could not answer.
-- hit_percent: Hits in percent of hits and misses, 0 to 100, from the day's counts. Not additive.
SELECT
  day,
  organization,
  environment,
  sum(hits) AS hits,
  sum(misses) AS misses,
  100e0 * sum(hits) / nullif(sum(hits) + sum(misses), 0) AS hit_percent
FROM cache_hits_and_misses
GROUP BY day, organization, environment
