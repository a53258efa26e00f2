-- Requests and errors of each API by day
-- Grain: organisation, environment, API, day; and one row for all others.
-- What belongs to no API that is or was listed, such as requests to APIs that were deleted earlier,
-- is a row of its own: all requests of the day less those of the APIs. With it the sum is that of
-- traffic_daily.
-- api_id: Id of the API; null in a remainder.
-- api_name: Display name of the API where the newest list that has it gives one, else its name,
--   else its id; "(not listed)" in a remainder.
-- requests: All requests to the API, successes and errors together. Of a remainder null unless both
--   tables were queried after the end of the day.
-- errors: Failed requests to the API; null in a remainder.
-- is_remainder: Whether the row is what is left of all requests, and not an API's.
-- project: The API's project, where the parameter Projects names it; null in a remainder.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, api_id,
    total_traffic_by_api AS requests, CAST(NULL AS bigint) AS errors
  FROM total_traffic_by_api
  UNION ALL
  SELECT
    day, organization, environment_id, environment, api_id,
    CAST(NULL AS bigint) AS requests, proxy AS errors
  FROM total_errors_by_api
),
usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, api_id,
    sum(requests) AS requests, sum(errors) AS errors
  FROM parts
  GROUP BY day, organization, environment_id, api_id
),
-- A day without any row was queried too: the ledger says when.
queries AS (
  SELECT
    day, organization, environment_id, exported_at AS as_of,
    total_traffic_by_api AS requests, total_traffic_by_api IS NULL AS is_unknown
  FROM total_traffic_by_api
  UNION ALL
  SELECT
    day, organization, environment_id, started AS as_of,
    CAST(NULL AS bigint) AS requests, false AS is_unknown
  FROM runs
  WHERE "table" = 'total_traffic_by_api' AND status IN ('exported', 'unchanged')
),
listed AS (
  SELECT
    day, organization, environment_id, max(as_of) AS as_of,
    CASE WHEN NOT bool_or(is_unknown) THEN coalesce(sum(requests), 0) END AS requests
  FROM queries
  GROUP BY day, organization, environment_id
),
compared AS (
  SELECT
    t.day, t.organization, t.environment_id, t.environment,
    CASE
      WHEN
        t.requests_as_of >= CAST(t.day + INTERVAL '1' DAY AS timestamp)
        AND l.as_of >= CAST(t.day + INTERVAL '1' DAY AS timestamp)
        THEN t.requests - l.requests
    END AS requests
  FROM traffic_daily AS t
  INNER JOIN listed AS l
    ON l.day = t.day AND l.organization = t.organization AND l.environment_id = t.environment_id
  WHERE t.requests IS NOT NULL
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  u.requests,
  u.errors,
  100e0 * u.errors / nullif(u.requests, 0) AS error_percent,
  false AS is_remainder,
  n.project
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
UNION ALL
SELECT
  day,
  organization,
  environment,
  environment_id,
  CAST(NULL AS varchar) AS api_id,
  CAST('(not listed)' AS varchar) AS api_name,
  CAST(NULL AS varchar) AS api_version,
  CAST(NULL AS varchar) AS api_slug,
  -- What came late may be in the table that was queried last alone.
  CASE WHEN requests > 0 THEN requests END AS requests,
  CAST(NULL AS bigint) AS errors,
  CAST(NULL AS double) AS error_percent,
  true AS is_remainder,
  CAST(NULL AS varchar) AS project
FROM compared
WHERE coalesce(requests, 1) <> 0
