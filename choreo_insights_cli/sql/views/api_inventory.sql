-- Every API with its project, who calls it, and when it was last called
-- Grain: organisation, environment, API that is or was listed.
-- Calls are those of the last 92 days.
-- project: The API's project, where the parameter Projects names it.
-- listed_now: Whether the newest lists have the API and its environment.
-- calling_applications: Applications that called the API; null where that is not known.
-- application_names: Their names, with commas; null where there is none.
-- last_request: The newest hour with a request (UTC); null where there was none or it is not known.
WITH calls AS (
  SELECT
    organization, environment_id, api_id, application_name, application_id, time_span AS hour
  FROM api_application_usage_over_time
  WHERE day >= current_date - INTERVAL '92' DAY AND "count" > 0
  UNION ALL
  SELECT
    organization, environment_id, coalesce(api_id_resolved, api_id) AS api_id,
    CAST(NULL AS varchar) AS application_name, CAST(NULL AS varchar) AS application_id,
    time_span AS hour
  FROM api_usage_over_time
  WHERE day >= current_date - INTERVAL '92' DAY AND "count" > 0
),
callers AS (
  SELECT
    organization, environment_id, api_id, max(hour) AS last_request,
    count(application_id) AS known,
    count(DISTINCT CASE WHEN application_id <> 'UNKNOWN' THEN application_id END) AS applications,
    nullif(
      CAST(
        array_join(
          array_sort(
            array_agg(DISTINCT CASE WHEN application_id <> 'UNKNOWN' THEN application_name END)
          ),
          ', '
        ) AS varchar
      ),
      ''
    ) AS names
  FROM calls
  GROUP BY organization, environment_id, api_id
)
SELECT
  n.organization,
  n.environment,
  n.environment_id,
  n.api_id,
  n.api_name,
  n.api_version,
  n.provider,
  n.project,
  n.listed_now,
  CASE WHEN c.known > 0 THEN c.applications END AS calling_applications,
  CASE WHEN c.known > 0 THEN c.names END AS application_names,
  c.last_request
FROM api_names AS n
LEFT JOIN callers AS c
  ON c.organization = n.organization AND c.environment_id = n.environment_id AND c.api_id = n.api_id
