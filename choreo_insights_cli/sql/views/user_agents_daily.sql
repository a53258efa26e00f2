-- Requests by user agent and day
-- Grain: organisation, environment, user agent, day; the nine with the most, and Other.
-- user_agent: The caller's user agent; Other beyond the day's nine with the most requests.
WITH usage AS (
  SELECT
    day, organization, environment_id, max(environment) AS environment, user_agent,
    sum("count") AS requests
  FROM top_user_agents
  GROUP BY day, organization, environment_id, user_agent
)
SELECT
  u.day,
  u.organization,
  coalesce(e.environment, u.environment) AS environment,
  u.environment_id,
  u.user_agent,
  u.requests
FROM usage AS u
LEFT JOIN environment_names AS e
  ON e.organization = u.organization AND e.environment_id = u.environment_id
