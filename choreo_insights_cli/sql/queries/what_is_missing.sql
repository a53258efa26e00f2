-- Which tables are stale, incomplete or failing?
-- Stale is what no run brought up to date for three hours or more. No row: all is well.
SELECT
  organization, environment, table_name, newest_day, data_until, round(age_hours, 1) AS age_hours,
  last_status, days_missing, days_failed, last_error, days_kept
FROM export_freshness
WHERE
  exported_now
  AND (
    days_missing > 0 OR days_failed > 0 OR days_kept > 0 OR last_success IS NULL OR age_hours >= 3
  )
ORDER BY days_failed DESC, days_missing DESC, age_hours DESC, organization, environment, table_name
