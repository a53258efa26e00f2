-- Failed requests by category and hour
-- Grain: organisation, environment, category, hour with any error.
-- category: auth, target_connectivity, throttled or other.
-- errors: Failed requests of the category.
SELECT
  day, organization, environment, time_span AS hour,
  CAST('auth' AS varchar) AS category, auth AS errors
FROM errors_by_category
UNION ALL
SELECT
  day, organization, environment, time_span AS hour,
  CAST('target_connectivity' AS varchar) AS category, target_connectivity AS errors
FROM errors_by_category
UNION ALL
SELECT
  day, organization, environment, time_span AS hour,
  CAST('throttled' AS varchar) AS category, throttled AS errors
FROM errors_by_category
UNION ALL
SELECT
  day, organization, environment, time_span AS hour,
  CAST('other' AS varchar) AS category, other AS errors
FROM errors_by_category
