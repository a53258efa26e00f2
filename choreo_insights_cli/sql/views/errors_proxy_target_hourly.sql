-- Failed requests by side, status class and hour
-- Grain: organisation, environment, side, status class, hour with any error.
-- Both sides look at the same requests: do not add them up. Null where the service gives none.
-- side: proxy, as the caller was answered, or target, as the backend answered.
-- status_class: 4xx or 5xx.
-- errors: Failed requests of the class.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('proxy' AS varchar) AS side, CAST('4xx' AS varchar) AS status_class,
    proxy_4xx AS errors
  FROM proxy_target_errors_over_time
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('proxy' AS varchar) AS side, CAST('5xx' AS varchar) AS status_class,
    proxy_5xx AS errors
  FROM proxy_target_errors_over_time
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('target' AS varchar) AS side, CAST('4xx' AS varchar) AS status_class,
    target_4xx AS errors
  FROM proxy_target_errors_over_time
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('target' AS varchar) AS side, CAST('5xx' AS varchar) AS status_class,
    target_5xx AS errors
  FROM proxy_target_errors_over_time
),
hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, hour, side, status_class,
    sum(errors) AS errors
  FROM parts
  GROUP BY day, organization, environment_id, hour, side, status_class
)
SELECT
  p.day,
  p.organization,
  coalesce(e.environment, p.environment) AS environment,
  p.environment_id,
  p.hour,
  p.side,
  p.status_class,
  p.errors
FROM hours AS p
LEFT JOIN environment_names AS e
  ON e.organization = p.organization AND e.environment_id = p.environment_id
