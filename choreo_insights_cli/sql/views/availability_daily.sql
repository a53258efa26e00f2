-- How available each API was, by day: requests that succeeded, that were limited, and that met a
--   failure
-- Grain: organisation, environment, API, day.
-- As the console divides requests: down are those answered with 5xx, limited those with 4xx,
-- available
-- are all others. Status codes are those that callers were answered with; errors that only the
-- backend's codes have count by these. Only APIs that were listed when the day was queried.
-- Codes under a name and version that several APIs share are those of the listed one, up to its own
-- errors; the other one, if it has errors, has no row.
-- available: Requests that were answered with neither 4xx nor 5xx.
-- limited: Requests that were answered with 4xx.
-- down: Requests that were answered with 5xx.
-- not_down: Requests that were answered without 5xx: those available and those limited.
-- available_percent: Available requests in percent of all, 0 to 100. Not additive.
-- project: The API's project, where the parameter Projects names it.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, api_id,
    total_traffic_by_api AS requests, CAST(NULL AS bigint) AS errors,
    CAST(NULL AS varchar) AS side, CAST(NULL AS varchar) AS class, CAST(NULL AS bigint) AS coded
  FROM total_traffic_by_api
  UNION ALL
  SELECT
    day, organization, environment_id, environment, api_id,
    CAST(NULL AS bigint) AS requests, proxy AS errors,
    CAST(NULL AS varchar) AS side, CAST(NULL AS varchar) AS class, CAST(NULL AS bigint) AS coded
  FROM total_errors_by_api
  UNION ALL
  SELECT
    day, organization, environment_id, environment, coalesce(api_id_resolved, api_id) AS api_id,
    CAST(NULL AS bigint) AS requests, CAST(NULL AS bigint) AS errors,
    error_type AS side, substr(status_code, 1, 1) AS class, "count" AS coded
  FROM errors_by_status_code
),
apis AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, api_id,
    sum(requests) AS requests, sum(errors) AS errors, count(coded) AS codes,
    coalesce(sum(CASE WHEN side = 'PROXY' AND class = '4' THEN coded END), 0) AS proxy_4xx,
    coalesce(sum(CASE WHEN side = 'PROXY' AND class = '5' THEN coded END), 0) AS proxy_5xx,
    coalesce(sum(CASE WHEN side = 'TARGET' AND class = '4' THEN coded END), 0) AS target_4xx,
    coalesce(sum(CASE WHEN side = 'TARGET' AND class = '5' THEN coded END), 0) AS target_5xx
  FROM parts
  GROUP BY day, organization, environment_id, api_id
),
-- Whether the backend's errors are among the proxy's is not known: they fill up what the proxy's
-- codes lack of all errors.
lacking AS (
  SELECT
    day, organization, environment_id, environment, api_id, requests, target_4xx, target_5xx,
    least(proxy_5xx, coalesce(errors, proxy_5xx)) AS proxy_5xx,
    least(proxy_4xx, greatest(coalesce(errors, proxy_4xx + proxy_5xx) - proxy_5xx, 0))
      AS proxy_4xx,
    greatest(
        coalesce(errors, proxy_4xx + proxy_5xx + target_4xx + target_5xx)
            - proxy_4xx - proxy_5xx, 0
    )
      AS lacks
  FROM apis
  WHERE requests IS NOT NULL AND (codes > 0 OR errors = 0)
),
counted AS (
  SELECT
    day, organization, environment_id, environment, api_id, requests,
    proxy_5xx + least(target_5xx, lacks) AS down,
    proxy_4xx + least(target_4xx, lacks - least(target_5xx, lacks)) AS limited
  FROM lacking
)
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.api_id,
  coalesce(n.api_name, c.api_id) AS api_name,
  n.api_version,
  c.requests,
  c.requests - c.limited - c.down AS available,
  c.limited,
  c.down,
  100e0 * (c.requests - c.limited - c.down) / nullif(c.requests, 0) AS available_percent,
  n.project,
  c.requests - c.down AS not_down
FROM counted AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
LEFT JOIN api_names AS n
  ON n.organization = c.organization AND n.environment_id = c.environment_id AND n.api_id = c.api_id
