-- How the export of each table stands, by day
-- Grain: organisation, environment, table, day that a run tried.
-- tries: Runs that tried it.
-- last_try: When the newest run that tried it ended (UTC).
-- last_status: What became of the newest try: exported, failed, kept or overtaken.
-- last_success: When the newest run that did not fail on it ended (UTC); null where all failed.
-- data_until: Up to when the day's data was there at the newest success (UTC).
-- rows_written: Rows of the newest object that was written; null where none was.
-- last_error: Why the newest try failed; null where it did not.
SELECT
  day,
  organization,
  environment,
  "table" AS table_name,
  count(*) AS tries,
  max(exported_at) AS last_try,
  max_by(status, exported_at) AS last_status,
  max(CASE WHEN status <> 'failed' THEN exported_at END) AS last_success,
  max(
    CASE
      WHEN status <> 'failed' THEN least(started, CAST(day + INTERVAL '1' DAY AS timestamp))
    END
  ) AS data_until,
  max_by("rows", CASE WHEN status = 'exported' THEN exported_at END) AS rows_written,
  CASE
    WHEN max_by(status, exported_at) = 'failed' THEN max_by(coalesce(error, ''), exported_at)
  END AS last_error
FROM runs
GROUP BY day, organization, environment, "table"
