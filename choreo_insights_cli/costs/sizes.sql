-- How large the organisations are, as their newest lists of this week have them: one row.
-- Means, rounded up: environments of an organisation, APIs and applications of an environment.
WITH places AS (
  SELECT DISTINCT organization, environment
  FROM environments
  WHERE day >= current_date - INTERVAL '7' DAY
),
apis_of AS (
  SELECT organization, environment, count(DISTINCT api_id) AS apis
  FROM apis
  WHERE day >= current_date - INTERVAL '7' DAY
  GROUP BY organization, environment
),
applications_of AS (
  SELECT organization, environment, count(DISTINCT application_id) AS applications
  FROM applications
  WHERE day >= current_date - INTERVAL '7' DAY
  GROUP BY organization, environment
),
counted AS (
  SELECT
    p.organization,
    count(*) AS environments,
    sum(coalesce(a.apis, 0)) AS apis,
    sum(coalesce(b.applications, 0)) AS applications
  FROM places AS p
  LEFT JOIN apis_of AS a
    ON a.organization = p.organization AND a.environment = p.environment
  LEFT JOIN applications_of AS b
    ON b.organization = p.organization AND b.environment = p.environment
  GROUP BY p.organization
)
SELECT
  count(*) AS organizations,
  CAST(ceil(avg(environments)) AS bigint) AS environments,
  CAST(ceil(sum(apis) / CAST(sum(environments) AS double)) AS bigint) AS apis,
  CAST(ceil(sum(applications) / CAST(sum(environments) AS double)) AS bigint) AS applications
FROM counted
