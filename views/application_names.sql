-- Applications by id, with the name that the newest list gives
-- Grain: organisation, environment, application.
-- A deleted application keeps the name of the last list that had it.
-- listed_now: Whether the environment's newest list has the application.
SELECT
  organization,
  environment,
  application_id,
  max_by(application_name, day) AS application_name,
  max_by(owner, day) AS application_owner,
  max(day) AS last_listed,
  max(day) = max(max(day)) OVER (PARTITION BY organization, environment) AS listed_now
FROM applications
GROUP BY organization, environment, application_id
