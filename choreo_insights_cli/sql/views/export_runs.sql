-- What each run of the export did
-- Grain: organisation, environment, day of the data, run.
-- run: Id of the run.
-- started: When the first table was begun (UTC).
-- ended: When the last table was done (UTC).
-- tables_exported: Tables that were written.
-- tables_unchanged: Lists of the day that had the same rows, and were not written again.
-- tables_failed: Tables that failed.
-- tables_kept: Tables of which more was there already, so that it stays.
-- tables_overtaken: Tables that a newer run had written meanwhile.
-- rows_written: Rows written.
-- bytes_written: Size of the objects written.
WITH of_runs AS (
  SELECT
    day,
    organization,
    environment_id,
    run,
    max(environment) AS environment,
    min(started) AS started,
    max(exported_at) AS ended,
    count_if(status = 'exported') AS tables_exported,
    count_if(status = 'unchanged') AS tables_unchanged,
    count_if(status = 'failed') AS tables_failed,
    count_if(status = 'kept') AS tables_kept,
    count_if(status = 'overtaken') AS tables_overtaken,
    sum("rows") AS rows_written,
    sum(bytes) AS bytes_written
  FROM runs
  GROUP BY day, organization, environment_id, run
)
SELECT
  r.day,
  r.organization,
  coalesce(e.environment, r.environment) AS environment,
  r.environment_id,
  r.run,
  r.started,
  r.ended,
  r.tables_exported,
  r.tables_unchanged,
  r.tables_failed,
  r.tables_kept,
  r.tables_overtaken,
  r.rows_written,
  r.bytes_written
FROM of_runs AS r
LEFT JOIN environment_names AS e
  ON e.organization = r.organization AND e.environment_id = r.environment_id
