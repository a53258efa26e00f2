-- How fresh and complete each table is
-- Grain: organisation, environment, table, over the last 92 days; over all days where the
--   dataset has ended.
-- An organisation's own lists have no environment. Of an environment that is not listed any more
-- the days up to the last list count. A table that runs no longer try, as it was taken out of the
-- parameter Tables, is neither stale nor incomplete.
-- newest_day: The newest day that was exported.
-- data_until: Up to when there is data (UTC).
-- last_success: When the newest try that was stored or confirmed ended (UTC).
-- age_hours: Hours since last_success, at the time of the query; null for an environment that is
--   not listed any more, for a table that is not exported any more, and where the dataset has
--   ended.
-- last_try: When the newest try of the table ended (UTC).
-- last_status: What became of the newest try: exported, unchanged, failed, kept or overtaken.
-- first_day: The first day that was tried.
-- days_exported: Days that were exported.
-- days_missing: Days from first_day to the newest day that was tried for any table of the
--   environment, of which this table was never exported; months where it is queried over months.
--   0 for a list, which has no past, and for a table that is not exported any more.
-- days_failed: Days whose newest try failed; an older export of the day may be there.
-- rows_written: Rows of the objects that are there; null where one's are not known.
-- last_error: Why the newest failed day failed; null where none did.
-- days_kept: Days that are still queried again, as the source now gives less than is stored.
-- exported_now: Whether runs still try the table: it was tried in the two days before the newest
--   try of any table of the environment.
-- days_unconfirmed: Days that were closed although the source kept giving less than is stored.
-- dataset_ends: The dataset's last day, where the service has ended (parameter Frozen); else null.
-- days_final: Days that no run queries again.
WITH days AS (
  SELECT
    d.day, d.organization, d.environment, d.environment_id, d.table_name, d.is_list, d.covers,
    d.last_success, d.data_until, d.last_try, d.last_status, d.rows_written, d.last_error, d.state,
    d.final,
    coalesce(d.state, '') <> 'missing' AS is_there,
    coalesce(e.listed_now, true) AS listed_now
  FROM export_days AS d
  LEFT JOIN environment_names AS e
    ON e.organization = d.organization AND e.environment_id = d.environment_id
  WHERE
    d.day >= CASE
      WHEN '${Frozen}' = 'true' THEN DATE '2000-01-01' ELSE current_date - INTERVAL '92' DAY
    END
    AND (d.day <= e.last_listed OR coalesce(e.listed_now, true))
),
places AS (
  SELECT
    organization,
    max(environment) AS environment,
    environment_id,
    table_name,
    listed_now,
    is_list,
    max(covers) AS covers,
    max(CASE WHEN is_there THEN day END) AS newest_day,
    max(data_until) AS data_until,
    max(last_success) AS last_success,
    max(last_try) AS last_try,
    max_by(last_status, ROW(last_try, day)) AS last_status,
    min(day) AS first_day,
    max(max(day)) OVER (PARTITION BY organization, environment_id) AS last_day,
    max(max(last_try)) OVER (PARTITION BY organization, environment_id) AS newest_try,
    count_if(is_there) AS days_exported,
    count_if(last_status = 'failed') AS days_failed,
    count_if(state = 'kept') AS days_kept,
    count_if(state = 'unconfirmed') AS days_unconfirmed,
    count_if(is_there AND final) AS days_final,
    CASE WHEN count(rows_written) = count_if(is_there) THEN sum(rows_written) END AS rows_written,
    max_by(last_error, CASE WHEN last_status = 'failed' THEN day END) AS last_error
  FROM days
  GROUP BY organization, environment_id, table_name, listed_now, is_list
),
spans AS (
  SELECT
    organization, environment, environment_id, table_name, newest_day, data_until, last_success,
    last_try, last_status, first_day, days_exported, days_failed, rows_written, last_error,
    days_kept, days_unconfirmed, days_final, listed_now, is_list,
    last_try >= newest_try - INTERVAL '2' DAY AS exported_now,
    CASE
      WHEN covers = 'month' THEN date_diff('month', first_day, date_trunc('month', last_day)) + 1
      WHEN covers = 'past_day'
        THEN
          date_diff(
            'day', first_day, least(last_day, CAST(newest_try - INTERVAL '1' DAY AS date))
          ) + 1
      ELSE date_diff('day', first_day, last_day) + 1
    END AS days_wanted
  FROM places
)
SELECT
  organization,
  environment,
  environment_id,
  table_name,
  newest_day,
  data_until,
  last_success,
  CASE
    WHEN listed_now AND exported_now AND '${Frozen}' <> 'true'
      THEN
        date_diff('second', last_success, CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp))
        / 3600e0
  END AS age_hours,
  last_try,
  last_status,
  first_day,
  days_exported,
  CASE WHEN is_list OR NOT exported_now THEN 0 ELSE days_wanted - days_exported END AS days_missing,
  days_failed,
  rows_written,
  last_error,
  days_kept,
  days_unconfirmed,
  exported_now,
  CASE WHEN '${Frozen}' = 'true' THEN max(newest_day) OVER () END AS dataset_ends,
  days_final
FROM spans
