-- How many requests of the last 7 full days were of APIs that are not listed any more?
-- An API with a name was listed once and is not now; "(not listed)" is all that belongs to no API
-- that ever was, as of those that were deleted before the export began.
SELECT
  u.organization, u.environment, u.api_name, u.api_version, n.last_listed,
  sum(u.requests) AS requests
FROM api_usage_daily AS u
LEFT JOIN api_names AS n
  ON n.organization = u.organization AND n.environment_id = u.environment_id AND n.api_id = u.api_id
WHERE
  u.day >= current_date - INTERVAL '7' DAY AND u.day < current_date
  AND (u.is_remainder OR NOT coalesce(n.listed_now, false))
GROUP BY u.organization, u.environment, u.api_name, u.api_version, n.last_listed
HAVING sum(u.requests) > 0
ORDER BY requests DESC, u.organization, u.environment, u.api_name, u.api_version
