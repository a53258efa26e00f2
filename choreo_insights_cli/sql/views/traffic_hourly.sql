-- Requests and errors by hour
-- Grain: organisation, environment, hour with any request.
-- The service leaves out hours without successes or without errors. Such a count is 0 only where
-- the hour had ended when its table was queried, and null where it is not known. Where a day has no
-- row of a table at all, the day's totals say whether there was nothing to count.
-- requests: All requests, successes and errors together; null where one of the two is not known or
--   only one of them was queried after the end of the hour.
-- successes: Successful requests.
-- errors: Failed requests.
WITH parts AS (
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    request_count AS successes, exported_at AS successes_as_of,
    CAST(NULL AS bigint) AS errors, CAST(NULL AS timestamp) AS errors_as_of
  FROM success_summary
  UNION ALL
  SELECT
    day, organization, environment_id, environment, time_span AS hour,
    CAST(NULL AS bigint) AS successes, CAST(NULL AS timestamp) AS successes_as_of,
    error_count AS errors, exported_at AS errors_as_of
  FROM error_summary
),
hours AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, hour,
    sum(successes) AS successes, max(successes_as_of) AS successes_as_of,
    sum(errors) AS errors, max(errors_as_of) AS errors_as_of
  FROM parts
  GROUP BY day, organization, environment_id, hour
),
queried AS (
  SELECT
    h.day, h.organization, h.environment_id, h.environment, h.hour, h.successes, h.errors,
    coalesce(
      max(h.successes_as_of) OVER (PARTITION BY h.day, h.organization, h.environment_id),
      CASE
        WHEN
          d.successes = 0
          -- Errors only grow: counted later than the requests, they prove nothing.
          AND (
            d.errors_as_of <= d.requests_as_of
            OR d.requests_as_of >= CAST(h.day + INTERVAL '1' DAY AS timestamp)
          )
          THEN d.requests_as_of
      END
    ) AS successes_as_of,
    coalesce(
      max(h.errors_as_of) OVER (PARTITION BY h.day, h.organization, h.environment_id),
      CASE WHEN d.errors = 0 THEN d.errors_as_of END
    ) AS errors_as_of
  FROM hours AS h
  LEFT JOIN traffic_daily AS d
    ON d.day = h.day AND d.organization = h.organization AND d.environment_id = h.environment_id
),
ended AS (
  SELECT
    day, organization, environment_id, environment, hour, successes, errors,
    successes_as_of >= hour + INTERVAL '1' HOUR AS all_successes,
    errors_as_of >= hour + INTERVAL '1' HOUR AS all_errors
  FROM queried
),
known AS (
  SELECT
    day, organization, environment_id, environment, hour,
    coalesce(successes, CASE WHEN all_successes THEN 0 END) AS successes,
    coalesce(errors, CASE WHEN all_errors THEN 0 END) AS errors,
    all_successes = all_errors AS same_span
  FROM ended
),
counted AS (
  SELECT
    day, organization, environment_id, environment, hour, successes, errors,
    CASE WHEN same_span THEN successes + errors END AS requests
  FROM known
)
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.hour,
  c.requests,
  c.successes,
  c.errors,
  100e0 * c.errors / nullif(c.requests, 0) AS error_percent
FROM counted AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
