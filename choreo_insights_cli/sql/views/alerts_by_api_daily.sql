-- Alerts by API and day
-- Grain: organisation, environment, API with any alert, day.
-- The service keeps alerts for a week; what was exported stays.
-- alerts: Alerts of the API.
WITH counts AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    coalesce(api_id_resolved, api_id) AS api_id,
    sum("count") AS alerts
  FROM top_apis_by_alert_count
  GROUP BY day, organization, environment_id, coalesce(api_id_resolved, api_id)
)
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.api_id,
  coalesce(n.api_name, c.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  c.alerts
FROM counts AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
LEFT JOIN api_names AS n
  ON n.organization = c.organization AND n.environment_id = c.environment_id AND n.api_id = c.api_id
