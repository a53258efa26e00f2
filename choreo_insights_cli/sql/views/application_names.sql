-- Applications by id, with the name that the newest list gives
-- Grain: organisation, environment, application.
-- A deleted application keeps the name of the last list that had it.
-- listed_now: Whether the newest lists have the application and its environment.
SELECT
  a.organization,
  coalesce(e.environment, a.environment) AS environment,
  a.environment_id,
  a.id AS application_id,
  a.name AS application_name,
  a.owner AS application_owner,
  a.last_listed,
  a.listed AND coalesce(e.listed_now, true) AS listed_now
FROM registry_names AS a
LEFT JOIN environment_names AS e
  ON e.organization = a.organization AND e.environment_id = a.environment_id
WHERE a.kind = 'application'
