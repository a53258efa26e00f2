-- Requests of each application to each API by month
-- Grain: organisation, environment, API, application, month.
-- Callers without an application are the application UNKNOWN. Filter by month, the first day of it.
-- month: First day of the month (UTC).
-- is_final: Whether the month has ended and each of its days is closed and confirmed, by the ledger
--   of the table apis_usage_by_applications: the requests do not change any more. Days before the
--   first one that was ever tried do not count: while the first export goes on, wait for its end.
WITH usage AS (
  SELECT
    CAST(date_trunc('month', day) AS date) AS month, organization, environment_id,
    max(environment) AS environment, coalesce(api_id_resolved, api_id) AS api_id, application_id,
    max_by(application_name, day) AS application_name,
    max_by(application_owner, day) AS application_owner, sum("count") AS requests
  FROM apis_usage_by_applications
  GROUP BY
    CAST(date_trunc('month', day) AS date), organization, environment_id,
    coalesce(api_id_resolved, api_id), application_id
),
begun AS (
  SELECT organization, environment_id, min(day) AS first_day
  FROM runs
  WHERE "table" = 'apis_usage_by_applications'
  GROUP BY organization, environment_id
),
closed AS (
  SELECT
    organization, environment_id, CAST(date_trunc('month', day) AS date) AS month,
    count_if(state = 'closed') AS days
  FROM export_days
  WHERE table_name = 'apis_usage_by_applications'
  GROUP BY organization, environment_id, CAST(date_trunc('month', day) AS date)
),
months AS (
  SELECT
    c.organization, c.environment_id, c.month,
    c.days = date_diff('day', greatest(c.month, b.first_day), date_add('month', 1, c.month))
      AS is_final
  FROM closed AS c
  INNER JOIN begun AS b
    ON b.organization = c.organization AND b.environment_id = c.environment_id
)
SELECT
  u.month,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  u.application_id,
  coalesce(a.application_name, u.application_name) AS application_name,
  coalesce(a.application_owner, u.application_owner) AS application_owner,
  u.requests,
  coalesce(m.is_final, false) AS is_final
FROM usage AS u
LEFT JOIN months AS m
  ON m.organization = u.organization AND m.environment_id = u.environment_id AND m.month = u.month
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
LEFT JOIN application_names AS a
  ON a.organization = u.organization AND a.environment_id = u.environment_id
  AND a.application_id = u.application_id
