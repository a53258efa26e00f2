-- Requests to each resource of each API by day
-- Grain: organisation, environment, API, method, resource, day.
-- method: HTTP method; empty where a request met no resource.
-- resource: Resource template, for example /orders/{id}; empty where a request met none.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment,
    coalesce(api_id_resolved, api_id) AS api_id,
    api_method AS method, api_resource_template AS resource, sum("count") AS requests
  FROM resource_usage
  GROUP BY
    day, organization, environment_id, coalesce(api_id_resolved, api_id), api_method,
    api_resource_template
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.api_id,
  coalesce(n.api_name, u.api_id) AS api_name,
  n.api_version,
  n.api_slug,
  u.method,
  u.resource,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
