-- APIs by id, with the names that the newest list gives
-- Grain: organisation, environment, API.
-- A deleted API keeps the names of the last list that had it.
-- api_name: Display name of the API where the service gives it, else its name.
-- project: The API's project, where the parameter Projects names it.
-- listed_now: Whether the newest lists have the API and its environment.
SELECT
  a.organization,
  coalesce(e.environment, a.environment) AS environment,
  a.environment_id,
  a.id AS api_id,
  coalesce(nullif(a.display_name, ''), a.name) AS api_name,
  a.version AS api_version,
  a.name AS api_slug,
  a.provider,
  a.project,
  a.last_listed,
  a.listed AND coalesce(e.listed_now, true) AS listed_now
FROM registry_names AS a
LEFT JOIN environment_names AS e
  ON e.organization = a.organization AND e.environment_id = a.environment_id
WHERE a.kind = 'api'
