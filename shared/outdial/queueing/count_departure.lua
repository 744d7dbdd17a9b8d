-- KEYS: calls by when they depart (ms). ARGV: the call, ms until its departure, longest ms to wait,
-- least ms after the last one, how many to keep, then pairs: most calls, in how many ms.
-- Answers ms to wait, as text; '' when too long, and then it is not counted.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
redis.call('ZREM', KEYS[1], ARGV[1])

local departure = now + math.max(0, tonumber(ARGV[2]))
local function no_earlier_than(nth, after)
  local other = redis.call('ZREVRANGE', KEYS[1], nth - 1, nth - 1, 'WITHSCORES')[2]
  if other then
    departure = math.max(departure, other + after)
  end
end
no_earlier_than(1, tonumber(ARGV[4]))
for n = 6, #ARGV, 2 do
  no_earlier_than(tonumber(ARGV[n]), tonumber(ARGV[n + 1]))
end

local wait = departure - now
if wait > tonumber(ARGV[3]) then
  return ''
end
redis.call('ZADD', KEYS[1], string.format('%.3f', departure), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[5] - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil(wait) + 15000)
return string.format('%.3f', wait)
