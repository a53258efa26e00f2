-- Failed requests by API, application, reason and hour
-- Grain: organisation, environment, API, application, reason, hour.
-- The API is null where the service gives none; the application is UNKNOWN where the caller had
-- none.
-- reason: Why the requests failed.
-- errors: Failed requests.
WITH details AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    coalesce(api_id_resolved, api_id) AS api_id, application_id,
    max(application_name) AS application_name, max(application_owner) AS application_owner,
    reason, sum("count") AS errors
  FROM errors_details
  GROUP BY
    day, organization, environment_id, time_span, coalesce(api_id_resolved, api_id), application_id,
    reason
)
SELECT
  d.day,
  d.organization,
  coalesce(e.environment, d.environment) AS environment,
  d.environment_id,
  d.hour,
  d.api_id,
  coalesce(n.api_name, d.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  d.application_id,
  coalesce(a.application_name, d.application_name) AS application_name,
  coalesce(a.application_owner, d.application_owner) AS application_owner,
  d.reason,
  d.errors
FROM details AS d
LEFT JOIN environment_names AS e
  ON e.organization = d.organization AND e.environment_id = d.environment_id
LEFT JOIN api_names AS n
  ON n.organization = d.organization AND n.environment_id = d.environment_id AND n.api_id = d.api_id
LEFT JOIN application_names AS a
  ON a.organization = d.organization AND a.environment_id = d.environment_id
  AND a.application_id = d.application_id
