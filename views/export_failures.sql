-- What could not be exported, with the reason
-- Grain: organisation, environment, table, day whose newest try failed.
-- failed_at: When the run that failed on it ended (UTC).
-- tries: Runs that tried it.
-- last_success: When the newest run that did not fail on it ended (UTC); null where all failed.
-- error: Why it failed.
SELECT
  day,
  organization,
  environment,
  table_name,
  last_try AS failed_at,
  tries,
  last_success,
  last_error AS error
FROM export_days
WHERE last_status = 'failed'
