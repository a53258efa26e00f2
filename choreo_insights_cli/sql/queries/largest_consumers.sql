-- Which applications called most in the last 7 full days, and what is their share?
-- The five largest of each environment, callers without an application (UNKNOWN) among them. The
-- share is of all requests that the service counts by application.
WITH usage AS (
  SELECT
    organization, environment, application_name, application_owner, sum(requests) AS requests
  FROM application_usage_daily
  WHERE day >= current_date - INTERVAL '7' DAY AND day < current_date
  GROUP BY organization, environment, application_id, application_name, application_owner
),
placed AS (
  SELECT
    organization, environment, application_name, application_owner, requests,
    rank() OVER (PARTITION BY organization, environment ORDER BY requests DESC) AS place,
    sum(requests) OVER (PARTITION BY organization, environment) AS all_requests
  FROM usage
)
SELECT
  organization, environment, place, application_name, application_owner, requests,
  round(100e0 * requests / nullif(all_requests, 0), 2) AS share_percent
FROM placed
WHERE place <= 5
ORDER BY organization, environment, place, application_name, application_owner
