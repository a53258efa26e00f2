-- APIs by id, with the name that the newest list gives
-- Grain: organisation, environment, API.
-- A deleted API keeps the name of the last list that had it.
-- listed_now: Whether the environment's newest list has the API.
SELECT
  organization,
  environment,
  api_id,
  max_by(api_name, day) AS api_name,
  max_by(version, day) AS api_version,
  max_by(provider, day) AS provider,
  max(day) AS last_listed,
  max(day) = max(max(day)) OVER (PARTITION BY organization, environment) AS listed_now
FROM apis
GROUP BY organization, environment, api_id
