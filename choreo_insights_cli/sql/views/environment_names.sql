-- Environments by id, each with its newest name
-- Grain: organisation, environment.
-- A deleted environment stays, with the last name that it had. Environments of an organisation that
-- have the same name get the start of their id behind it.
-- Figures by country are given for environments of type ON_PREM alone.
-- listed_now: Whether the organisation's newest list has the environment.
WITH named AS (
  SELECT
    organization, environment_id, coalesce(nullif(name, ''), environment_id) AS name,
    substr(environment_id, 1, 8) AS short_id, type, last_listed, listed
  FROM registry_environments
),
counted AS (
  SELECT
    organization, environment_id, name, short_id, type, last_listed, listed,
    count(*) OVER (PARTITION BY organization, name) AS of_name,
    count(*) OVER (PARTITION BY organization, name, short_id) AS of_short_id
  FROM named
)
SELECT
  organization,
  CASE
    WHEN of_name = 1 THEN name
    WHEN of_short_id = 1 THEN name || ' (' || short_id || ')'
    ELSE name || ' (' || environment_id || ')'
  END AS environment,
  environment_id,
  type AS environment_type,
  last_listed,
  listed AS listed_now
FROM counted
