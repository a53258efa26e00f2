-- Custom report: requests by API, application and hour
-- Grain: organisation, environment, API name, application name, hour with any request.
-- Told by names, not ids: two APIs of one name are one row.
-- api_name: Name of the API.
-- application_name: Name of the application; UNKNOWN where the caller had none.
SELECT
  day,
  organization,
  environment,
  time_span AS hour,
  api_name,
  application_name,
  hits AS requests
FROM hits_by_api_and_application
