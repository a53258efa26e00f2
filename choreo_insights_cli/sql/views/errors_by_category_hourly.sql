-- Failed requests by category and hour
-- Grain: organisation, environment, category, hour with any error.
-- category: auth, target_connectivity, throttled or other.
-- errors: Failed requests of the category.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('auth' AS varchar) AS category, auth AS errors
  FROM errors_by_category
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('target_connectivity' AS varchar) AS category, target_connectivity AS errors
  FROM errors_by_category
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('throttled' AS varchar) AS category, throttled AS errors
  FROM errors_by_category
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST('other' AS varchar) AS category, other AS errors
  FROM errors_by_category
),
hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, hour, category,
    sum(errors) AS errors
  FROM parts
  GROUP BY day, organization, environment_id, hour, category
)
SELECT
  p.day,
  p.organization,
  coalesce(e.environment, p.environment) AS environment,
  p.environment_id,
  p.hour,
  p.category,
  p.errors
FROM hours AS p
LEFT JOIN environment_names AS e
  ON e.organization = p.organization AND e.environment_id = p.environment_id
