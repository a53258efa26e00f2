-- What could not be exported, with the reason
-- Grain: organisation, environment, table, day whose newest try failed.
-- failed_at: When the newest try failed (UTC).
-- tries: Entries of the ledger: runs that tried it.
-- last_success: When the newest try that was stored or confirmed ended (UTC); null where none was.
-- error: Why it failed.
SELECT
  day,
  organization,
  environment,
  environment_id,
  table_name,
  last_try AS failed_at,
  tries,
  last_success,
  last_error AS error
FROM export_days
WHERE last_status = 'failed'
