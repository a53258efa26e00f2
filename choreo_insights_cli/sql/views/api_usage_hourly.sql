-- Requests to each API by hour
-- Grain: organisation, environment, API, hour with any request; and one row for all others.
-- What belongs to no API that is or was listed, such as requests to APIs that were deleted earlier,
-- is a row of its own: all requests of the hour less those of the APIs. With it the sum is that of
-- traffic_hourly.
-- api_id: Id of the API; where answers left it in doubt, what they said; null in a remainder.
-- api_name: Display name of the API where the newest list that has it gives one, else its name,
--   else its id; "(not listed)" in a remainder.
-- requests: All requests, successes and errors together. Of a remainder null where one of the
--   tables was queried before the end of the hour.
-- is_remainder: Whether the row is what is left of all requests, and not an API's.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, time_span AS hour,
    coalesce(api_id_resolved, api_id) AS api_id, sum("count") AS requests
  FROM api_usage_over_time
  GROUP BY day, organization, environment_id, time_span, coalesce(api_id_resolved, api_id)
),
listed AS (
  SELECT day, organization, environment_id, hour, sum(requests) AS requests
  FROM usage
  GROUP BY day, organization, environment_id, hour
),
-- A day without any row was queried too: the ledger says when.
queries AS (
  SELECT day, organization, environment_id, exported_at AS as_of, CAST(NULL AS timestamp) AS total
  FROM api_usage_over_time
  UNION ALL
  SELECT day, organization, environment_id, started AS as_of, CAST(NULL AS timestamp) AS total
  FROM runs
  WHERE "table" = 'api_usage_over_time' AND status IN ('exported', 'unchanged')
  UNION ALL
  SELECT day, organization, environment_id, CAST(NULL AS timestamp) AS as_of, exported_at AS total
  FROM success_summary
  UNION ALL
  SELECT day, organization, environment_id, CAST(NULL AS timestamp) AS as_of, exported_at AS total
  FROM error_summary
),
queried AS (
  SELECT day, organization, environment_id, max(as_of) AS as_of, max(total) AS total_as_of
  FROM queries
  GROUP BY day, organization, environment_id
),
compared AS (
  SELECT
    t.day, t.organization, t.environment_id, t.environment, t.hour,
    CASE
      WHEN
        q.as_of >= t.hour + INTERVAL '1' HOUR AND q.total_as_of >= t.hour + INTERVAL '1' HOUR
        THEN t.requests - coalesce(l.requests, 0)
    END AS requests
  FROM traffic_hourly AS t
  INNER JOIN queried AS q
    ON q.day = t.day AND q.organization = t.organization AND q.environment_id = t.environment_id
  LEFT JOIN listed AS l
    ON l.day = t.day AND l.organization = t.organization AND l.environment_id = t.environment_id
    AND l.hour = t.hour
  WHERE q.as_of IS NOT NULL
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.hour,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  u.requests,
  false AS is_remainder
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
  hour,
  CAST(NULL AS varchar) AS api_id,
  CAST('(not listed)' AS varchar) AS api_name,
  CAST(NULL AS varchar) AS api_version,
  CAST(NULL AS varchar) AS api_slug,
  -- What came late may be in the table that was queried last alone.
  CASE WHEN requests > 0 THEN requests END AS requests,
  true AS is_remainder
FROM compared
WHERE coalesce(requests, 1) <> 0
