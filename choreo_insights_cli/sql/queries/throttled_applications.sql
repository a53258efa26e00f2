-- Which applications were throttled most in the last 7 full days?
-- The service gives status codes by API and reasons by application, and nothing by both: throttled
-- are reasons that name a limit, a quota or throttling, which a gateway answers with 429. Beside
-- them are all 429 of the API, whoever was answered with them.
WITH throttled AS (
  SELECT
    organization, environment, api_id, api_name, api_version, application_name,
    application_owner, reason, sum(errors) AS requests
  FROM error_details
  WHERE
    day >= current_date - INTERVAL '7' DAY AND day < current_date
    AND regexp_like(lower(reason), 'throttl|limit|quota|429|too many')
  GROUP BY
    organization, environment, api_id, api_name, api_version, application_name,
    application_owner, reason
),
codes AS (
  SELECT organization, environment, api_id, sum(errors) AS all_429
  FROM errors_by_status_code_daily
  WHERE
    day >= current_date - INTERVAL '7' DAY AND day < current_date
    AND side = 'proxy' AND status_code = '429'
  GROUP BY organization, environment, api_id
)
SELECT
  t.organization, t.environment, t.application_name, t.application_owner, t.api_name,
  t.api_version, t.reason, t.requests, c.all_429 AS all_429_of_the_api
FROM throttled AS t
LEFT JOIN codes AS c
  ON c.organization = t.organization AND c.environment = t.environment AND c.api_id = t.api_id
ORDER BY
  t.requests DESC, t.organization, t.environment, t.application_name, t.api_name, t.api_version,
  t.reason
LIMIT 100
