-- Whether the tables of a day tell the same numbers
-- Grain: comparison of a day, organisation and environment, as of its newest export.
-- what: What was compared; <= where the left side may be lower.
-- expected: What there should be; null where it was not compared.
-- found: What there is; null where it was not compared.
-- verdict: ok; lower (allowed, the explanation says why); open (a small difference on a day that
--   still fills); mismatch; skipped (a table is not there).
-- explanation: Why the figures differ, or were not compared.
-- compared_tables: The tables that were compared, with commas.
-- compared_at: When they were compared (UTC).
SELECT
  day,
  organization,
  environment,
  what,
  expected,
  found,
  verdict,
  explanation,
  tables AS compared_tables,
  exported_at AS compared_at
FROM checks
