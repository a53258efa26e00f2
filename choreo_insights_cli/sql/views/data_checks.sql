-- Whether the tables of a day have the same numbers
-- Grain: comparison of a day, organisation and environment, as of its newest export.
-- what: What was compared; <= where the left side may be lower.
-- expected: What there should be; null where it was not compared.
-- found: What there is; null where it was not compared.
-- verdict: ok; lower (allowed, the explanation says why); open (a small difference on a day that
--   still fills); mismatch; skipped (a table is not there); warning (a setting leaves data out).
-- explanation: Why the figures differ, or were not compared.
-- compared_tables: The tables that were compared, with commas.
-- compared_at: When they were compared (UTC).
SELECT
  c.day,
  c.organization,
  coalesce(e.environment, c.environment) AS environment,
  c.environment_id,
  c.what,
  c.expected,
  c.found,
  c.verdict,
  c.explanation,
  c.tables AS compared_tables,
  c.exported_at AS compared_at
FROM checks AS c
LEFT JOIN environment_names AS e
  ON e.organization = c.organization AND e.environment_id = c.environment_id
