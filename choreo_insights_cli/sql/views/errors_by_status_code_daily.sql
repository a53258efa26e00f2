-- Failed requests by API and status code by day
-- Grain: organisation, environment, side, API, status code, day.
-- Both sides look at the same requests: do not add them up.
-- side: proxy, as the caller was answered, or target, as the backend answered.
-- status_code: HTTP status code as text.
-- status_class: 4xx or 5xx.
-- errors: Failed requests with the code.
WITH codes AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, lower(error_type) AS side,
    coalesce(api_id_resolved, api_id) AS api_id, status_code, sum("count") AS errors
  FROM errors_by_status_code
  GROUP BY
    day, organization, environment_id, lower(error_type), coalesce(api_id_resolved, api_id),
    status_code
)
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.side,
  c.api_id,
  coalesce(n.api_name, c.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  c.status_code,
  substr(c.status_code, 1, 1) || 'xx' AS status_class,
  c.errors
FROM codes AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
LEFT JOIN api_names AS n
  ON n.organization = c.organization AND n.environment_id = c.environment_id AND n.api_id = c.api_id
