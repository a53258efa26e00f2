-- Requests by country and day
-- Grain: organisation, environment of type ON_PREM, country, day.
-- The service gives countries for on-premise environments alone.
-- country: Country of the caller.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, country,
    sum("count") AS requests
  FROM api_usage_by_geo_location
  GROUP BY day, organization, environment_id, country
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.country,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
