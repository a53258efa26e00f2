-- Successful requests on premise by API, application and day
-- Grain: organisation, API, application, day.
-- Over all on-premise environments, so `environment` and its id are null; only for organisations
-- whose secret holds an on-prem key.
-- api_name: Name of the API, as given.
-- api_version: Version of the API, as given.
-- successes: Successful requests. Errors are not counted.
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
  sum("count") AS successes
FROM success_apis_usage_by_applications
GROUP BY
  day, organization, environment, environment_id, api_id, api_name, api_version, application_id,
  application_name, application_owner
