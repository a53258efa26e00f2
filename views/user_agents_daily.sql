-- Requests by user agent and day
-- Grain: organisation, environment, user agent, day; the nine with the most, and Other.
-- user_agent: The caller's user agent; Other beyond the day's nine with the most requests.
SELECT
  day,
  organization,
  environment,
  user_agent,
  sum("count") AS requests
FROM top_user_agents
GROUP BY day, organization, environment, user_agent
