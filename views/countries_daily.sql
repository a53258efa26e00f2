-- Requests by country and day
-- Grain: organisation, environment of type ON_PREM, country, day.
-- The service gives countries for on-premise environments alone.
-- country: Country of the caller.
SELECT
  day,
  organization,
  environment,
  country,
  sum("count") AS requests
FROM api_usage_by_geo_location
GROUP BY day, organization, environment, country
