-- Requests and errors by hour
-- Grain: organisation, environment, hour with any request.
-- The service leaves out hours without successes or without errors. Such a count is 0 where the
-- day's other hours or its totals say that the figures are there, and null where they may be
-- missing.
-- requests: All requests, successes and errors together; null where one of the two is not known.
-- successes: Successful requests.
-- errors: Failed requests.
WITH parts AS (
  SELECT
    day, organization, environment, time_span AS hour,
    request_count AS successes, CAST(NULL AS bigint) AS errors
  FROM success_summary
  UNION ALL
  SELECT
    day, organization, environment, time_span AS hour,
    CAST(NULL AS bigint) AS successes, error_count AS errors
  FROM error_summary
),
hours AS (
  SELECT
    day, organization, environment, hour,
    sum(successes) AS successes, sum(errors) AS errors
  FROM parts
  GROUP BY day, organization, environment, hour
),
told AS (
  SELECT
    day, organization, environment, hour, successes, errors,
    count(successes) OVER (PARTITION BY day, organization, environment) AS hours_of_successes,
    count(errors) OVER (PARTITION BY day, organization, environment) AS hours_of_errors
  FROM hours
),
known AS (
  SELECT
    h.day, h.organization, h.environment, h.hour,
    CASE
      WHEN h.successes IS NOT NULL THEN h.successes
      WHEN h.hours_of_successes > 0 OR d.successes = 0 THEN 0
    END AS successes,
    CASE
      WHEN h.errors IS NOT NULL THEN h.errors
      WHEN h.hours_of_errors > 0 OR d.errors = 0 THEN 0
    END AS errors
  FROM told AS h
  LEFT JOIN traffic_daily AS d
    ON d.day = h.day AND d.organization = h.organization AND d.environment = h.environment
)
SELECT
  day,
  organization,
  environment,
  hour,
  successes + errors AS requests,
  successes,
  errors,
  100e0 * errors / nullif(successes + errors, 0) AS error_percent
FROM known
