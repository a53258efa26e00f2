-- Environments, as the newest list has them
-- Grain: organisation, environment.
-- Figures by country are given for environments of type ON_PREM alone.
-- listed_now: Whether the organisation's newest list has the environment.
SELECT
  organization,
  environment,
  max_by(environment_id, day) AS environment_id,
  max_by(type, day) AS environment_type,
  max(day) AS last_listed,
  max(day) = max(max(day)) OVER (PARTITION BY organization) AS listed_now
FROM environments
GROUP BY organization, environment
