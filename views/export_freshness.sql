-- How fresh and complete each table is
-- Grain: organisation, environment, table, over the last 92 days.
-- An organisation's own lists have no environment.
-- newest_day: The newest day that was exported.
-- data_until: Up to when there is data (UTC).
-- last_success: When the newest run that did not fail on the table ended (UTC).
-- age_hours: Hours since last_success, at the time of the query.
-- last_try: When the newest run that tried the table ended (UTC).
-- last_status: What became of the newest try: exported, failed, kept or overtaken.
-- first_day: The first day that was tried.
-- days_exported: Days that were exported.
-- days_missing: Days from first_day to the newest day that was tried for any table of the
--   environment, of which this table was never exported.
-- days_failed: Days whose newest try failed; an older export of the day may be there.
-- rows_written: Rows of the objects that are there.
-- last_error: Why the newest failed day failed; null where none did.
WITH days AS (
  SELECT *
  FROM export_days
  WHERE day >= current_date - INTERVAL '92' DAY
),
places AS (
  SELECT
    organization,
    environment,
    table_name,
    max(CASE WHEN last_success IS NOT NULL THEN day END) AS newest_day,
    max(data_until) AS data_until,
    max(last_success) AS last_success,
    max(last_try) AS last_try,
    max_by(last_status, ROW(last_try, day)) AS last_status,
    min(day) AS first_day,
    max(max(day)) OVER (PARTITION BY organization, environment) AS last_day,
    count(last_success) AS days_exported,
    count_if(last_status = 'failed') AS days_failed,
    sum(rows_written) AS rows_written,
    max_by(last_error, CASE WHEN last_status = 'failed' THEN day END) AS last_error
  FROM days
  GROUP BY organization, environment, table_name
)
SELECT
  organization,
  environment,
  table_name,
  newest_day,
  data_until,
  last_success,
  date_diff('second', last_success, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp))
    / 3600e0 AS age_hours,
  last_try,
  last_status,
  first_day,
  days_exported,
  date_diff('day', first_day, last_day) + 1 - days_exported AS days_missing,
  days_failed,
  rows_written,
  last_error
FROM places
