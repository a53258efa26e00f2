-- How the export of each table stands, by day
-- Grain: organisation, environment, table, day that a run tried.
-- A day is closed once its data was queried after late data had settled, a month likewise. What
-- the source answers
-- with less than is stored is kept and queried again; after a week the day is closed unconfirmed.
-- A list is known for its own day alone, so its past days are closed.
-- tries: Entries of the ledger: runs that tried it.
-- last_try: When the newest try ended (UTC).
-- last_status: What became of the newest try: exported, unchanged, failed, kept or overtaken.
-- last_success: When the newest try that was stored or confirmed ended (UTC); null where none was.
-- data_until: Up to when the day's data was there at the newest success (UTC).
-- rows_written: Rows of the newest object that was written; null where that is not known.
-- last_error: Why the newest try failed; null where it did not.
-- final: Whether no run queries the day again; null where the ledger does not say.
-- state: missing (no try was stored); open (later runs query it again); kept (open, and the source
--   now gives less than is stored); closed; unconfirmed (closed, although the source kept giving
--   less for a week); null where the ledger does not say, as in that of release 0.1.0.
-- covers: What a partition covers: day; past_day (a day, queried only when it has ended); month
--   (the calendar
--   month that begins on the day); list (as it was on the day); null in the ledger of older
--   releases.
-- is_list: Whether the table is a list of what there is, and not of what happened on the day.
WITH days AS (
  SELECT
    day,
    organization,
    environment_id,
    "table" AS table_name,
    max(environment) AS environment,
    count(*) AS tries,
    max(exported_at) AS last_try,
    max_by(status, exported_at) AS last_status,
    -- What another run overtook says nothing of the object.
    max_by(status, CASE WHEN status NOT IN ('failed', 'overtaken') THEN exported_at END)
      AS last_answer,
    count_if(status <> 'failed') AS stored,
    max(CASE WHEN status IN ('exported', 'unchanged') THEN exported_at END) AS last_success,
    max(
      CASE
        WHEN status IN ('exported', 'unchanged')
          THEN
            least(
              started,
              CASE
                WHEN covers = 'month' THEN CAST(day + INTERVAL '1' MONTH AS timestamp)
                ELSE CAST(day + INTERVAL '1' DAY AS timestamp)
              END
            )
      END
    ) AS data_until,
    max_by("rows", CASE WHEN status IN ('exported', 'unchanged') THEN exported_at END)
      AS rows_written,
    max_by(coalesce(error, ''), exported_at) AS last_reason,
    bool_or(final) AS final,
    bool_or(final AND status <> 'kept') AS confirmed,
    max(covers) AS covers,
    coalesce(
      max(covers) = 'list',
      "table" IN (
        'api_projects', 'apis', 'applications', 'environments', 'organizations', 'providers',
        'subscribers', 'tenants'
      )
    ) AS is_list
  FROM runs
  GROUP BY day, organization, environment_id, "table"
)
SELECT
  d.day,
  d.organization,
  coalesce(e.environment, d.environment) AS environment,
  d.environment_id,
  d.table_name,
  d.tries,
  d.last_try,
  d.last_status,
  d.last_success,
  d.data_until,
  d.rows_written,
  CASE WHEN d.last_status = 'failed' THEN d.last_reason END AS last_error,
  d.final OR (d.is_list AND d.day < current_date) AS final,
  CAST(
    CASE
      WHEN d.stored = 0 THEN 'missing'
      WHEN d.confirmed OR (d.is_list AND d.day < current_date) THEN 'closed'
      WHEN d.final THEN 'unconfirmed'
      WHEN d.last_answer = 'kept' THEN 'kept'
      WHEN NOT d.final THEN 'open'
    END AS varchar
  ) AS state,
  d.is_list,
  d.covers
FROM days AS d
LEFT JOIN environment_names AS e
  ON e.organization = d.organization AND e.environment_id = d.environment_id
