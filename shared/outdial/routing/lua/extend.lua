-- ARGV: attempt, lease ms. Only a reservation that stands is extended. Answers 1 or 0.
local held = holder_of(ARGV[2])
if not held then return 0 end
local key = set_of(held.pod, 'reserved')
local until_then = tonumber(redis.call('ZSCORE', key, ARGV[2]) or 0)
if until_then <= now then return 0 end
redis.call('ZADD', key, math.max(until_then, now + tonumber(ARGV[3])), ARGV[2])
return 1
