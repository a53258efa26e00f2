-- Requests by the caller's platform and day
-- Grain: organisation, environment, platform, day; the nine with the most, and Other.
-- platform: The caller's platform; Other beyond the day's nine with the most requests.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, platform,
    sum("count") AS requests
  FROM top_platforms
  GROUP BY day, organization, environment_id, platform
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.platform,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
