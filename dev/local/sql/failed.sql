-- What the run could not write, from the ledger.
SELECT "table", organization, environment, cast(day AS varchar) AS day, error
FROM runs
WHERE status = 'failed'
ORDER BY day, "table", organization, environment
