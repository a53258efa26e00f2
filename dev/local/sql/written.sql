-- What the run wrote, by table, from the ledger.
SELECT
  "table",
  count(*) AS partitions,
  sum("rows") AS "rows",
  sum(bytes) AS bytes,
  cast(min(day) AS varchar) AS first_day,
  cast(max(day) AS varchar) AS last_day
FROM runs
WHERE status = 'exported'
GROUP BY "table"
ORDER BY "table"
