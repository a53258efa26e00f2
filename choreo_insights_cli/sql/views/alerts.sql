-- Alerts, one by one
-- Grain: alert.
-- The service keeps alerts for a week; what was exported stays.
-- raised_at: When the alert was raised (UTC).
-- category: What was watched, for example latency or traffic.
-- metric: The metric that crossed its bound.
-- severity: How grave the alert is.
-- message: The alert in words.
SELECT
  s.day,
  s.organization,
  coalesce(e.environment, s.environment) AS environment,
  s.environment_id,
  s."timestamp" AS raised_at,
  coalesce(s.api_id_resolved, s.api_id) AS api_id,
  coalesce(n.api_name, s.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  s.category,
  s.metric,
  s.severity,
  s.message
FROM alert_summary AS s
LEFT JOIN environment_names AS e
  ON e.organization = s.organization AND e.environment_id = s.environment_id
LEFT JOIN api_names AS n
  ON n.organization = s.organization AND n.environment_id = s.environment_id
  AND n.api_id = coalesce(s.api_id_resolved, s.api_id)
