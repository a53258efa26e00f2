-- Successful requests on premise by API, application and day
-- Grain: organisation, API, application, day.
-- Over all on-premise environments, so `environment` and its id are null; only for organisations
-- whose secret holds an on-prem key.
-- api_id: Id of the API. Where the service gives `name - version`, that of the only API that is
--   listed with them on premise, or ever was; else as given.
-- api_name: Name of the API, as given.
-- api_version: Version of the API, as given.
-- successes: Successful requests. Errors are not counted.
WITH names AS (
  SELECT
    a.organization, concat(a.name, ' - ', a.version) AS named,
    min(CASE WHEN a.listed THEN a.id END) AS listed_id,
    count(DISTINCT CASE WHEN a.listed THEN a.id END) AS listed_ids,
    min(a.id) AS known_id, count(DISTINCT a.id) AS known_ids
  FROM registry_names AS a
  INNER JOIN registry_environments AS e
    ON e.organization = a.organization AND e.environment_id = a.environment_id
  WHERE a.kind = 'api' AND e.type = 'ON_PREM'
  GROUP BY a.organization, concat(a.name, ' - ', a.version)
),
resolved AS (
  SELECT
    s.day, s.organization, s.environment, s.environment_id,
    CASE
      WHEN n.listed_ids = 1 THEN n.listed_id
      WHEN n.listed_ids = 0 AND n.known_ids = 1 THEN n.known_id
      ELSE s.api_id
    END AS api_id,
    s.api_name, s.api_version, s.application_id, s.application_name, s.application_owner,
    s."count" AS successes
  FROM success_apis_usage_by_applications AS s
  LEFT JOIN names AS n ON n.organization = s.organization AND n.named = s.api_id
)
SELECT
  day,
  organization,
  environment,
  environment_id,
  api_id,
  api_name,
  api_version,
  application_id,
  application_name,
  application_owner,
  sum(successes) AS successes
FROM resolved
GROUP BY
  day, organization, environment, environment_id, api_id, api_name, api_version, application_id,
  application_name, application_owner
