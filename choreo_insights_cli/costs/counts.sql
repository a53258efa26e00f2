-- What the ledger tells of the last 30 whole days: one row.
-- days: Days that it tells of, fewer than 30 where the first run was later; null without any.
-- invocations: Invocations of the export that tried something.
-- seconds: How long they took; the run's id says when it began.
-- written: Objects of tables that were written.
-- A backfill of older days is left out: it is done once, and `day` keeps the query small.
WITH tried AS (
  SELECT
    exported_at,
    run,
    status,
    coalesce(
      TRY_CAST(
        substr(run, 1, 4) || '-' || substr(run, 5, 2) || '-' || substr(run, 7, 2) || ' '
        || substr(run, 10, 2) || ':' || substr(run, 12, 2) || ':' || substr(run, 14, 2)
        AS timestamp
      ),
      started
    ) AS began
  FROM runs
  WHERE day >= current_date - INTERVAL '40' DAY
),
invocations AS (
  SELECT
    run,
    min(began) AS began,
    max(exported_at) AS ended,
    count_if(status = 'exported') AS written
  FROM tried
  GROUP BY run
)
SELECT
  date_diff('day', min(CAST(ended AS date)), current_date) AS days,
  count(*) AS invocations,
  sum(date_diff('millisecond', began, ended)) / 1000e0 AS seconds,
  sum(written) AS written
FROM invocations
WHERE CAST(ended AS date) >= current_date - INTERVAL '30' DAY
  AND CAST(ended AS date) < current_date
