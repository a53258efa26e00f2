-- Requests by the caller's platform and day
-- Grain: organisation, environment, platform, day; the nine with the most, and Other.
-- platform: The caller's platform; Other beyond the day's nine with the most requests.
SELECT
  day,
  organization,
  environment,
  platform,
  sum("count") AS requests
FROM top_platforms
GROUP BY day, organization, environment, platform
