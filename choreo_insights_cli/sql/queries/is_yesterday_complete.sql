-- Is yesterday complete, and is it final?
-- Complete where each table has the day up to its end, final where no run queries it again: after
-- SettleHours. Tables without an object of the day are named.
SELECT
  organization, environment, day,
  count(*) AS tables,
  count_if(last_success IS NOT NULL AND data_until >= CAST(day + INTERVAL '1' DAY AS timestamp))
    AS tables_complete,
  count_if(final) AS tables_final,
  count_if(NOT coalesce(data_until >= CAST(day + INTERVAL '1' DAY AS timestamp), false)) = 0
    AS is_complete,
  count_if(NOT coalesce(final, false)) = 0 AS is_final,
  nullif(array_join(array_agg(CASE WHEN last_success IS NULL THEN table_name END), ', '), '')
    AS missing_tables
FROM export_days
WHERE day = current_date - INTERVAL '1' DAY AND NOT is_list
GROUP BY organization, environment, day
ORDER BY organization, environment
