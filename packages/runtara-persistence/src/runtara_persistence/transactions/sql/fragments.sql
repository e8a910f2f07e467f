-- name: state
CASE
    WHEN status <> 'suspended' THEN status::text
    WHEN sleep_until IS NULL THEN 'paused'
    ELSE 'asleep'
END AS state;
