-- Failed requests by category and hour
-- Grain: organisation, environment, category, hour with any error.
-- category: auth, target_connectivity, throttled or other.
-- errors: Failed requests of the category.
SELECT day, organization, environment, time_span AS hour, 'auth' AS category, auth AS errors
FROM errors_by_category
UNION ALL
SELECT
  day, organization, environment, time_span AS hour,
  'target_connectivity' AS category, target_connectivity AS errors
FROM errors_by_category
UNION ALL
SELECT
  day, organization, environment, time_span AS hour, 'throttled' AS category, throttled AS errors
FROM errors_by_category
UNION ALL
SELECT day, organization, environment, time_span AS hour, 'other' AS category, other AS errors
FROM errors_by_category
