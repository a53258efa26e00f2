-- What each run of the export did
-- Grain: organisation, environment, day of the data, run.
-- run: Id of the run.
-- started: When the first table was begun (UTC).
-- ended: When the run ended (UTC).
-- tables_exported: Tables that were written.
-- tables_failed: Tables that failed.
-- tables_kept: Tables of which more was there already, so that it stays.
-- tables_overtaken: Tables that a newer run had written meanwhile.
-- rows_written: Rows written.
-- bytes_written: Size of the objects written.
SELECT
  day,
  organization,
  environment,
  run,
  min(started) AS started,
  max(exported_at) AS ended,
  count_if(status = 'exported') AS tables_exported,
  count_if(status = 'failed') AS tables_failed,
  count_if(status = 'kept') AS tables_kept,
  count_if(status = 'overtaken') AS tables_overtaken,
  sum("rows") AS rows_written,
  sum(bytes) AS bytes_written
FROM runs
GROUP BY day, organization, environment, run
