-- KEYS: calls by when they depart (ms), next departure. ARGV: the call, its departure, the latest
-- (ms), least ms after the last one, how long one may wait (ms), the share of what is beyond that
-- others are put off by, how many to keep, then pairs: most calls, in how many ms.
-- Answers {now, departure}, as text; {now} when that would be too late, and it is not counted.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
redis.call('ZREM', KEYS[1], ARGV[1])

local wanted = math.max(now, tonumber(ARGV[2]))
local departure = wanted
local function no_earlier_than(nth, after)
  local other = redis.call('ZREVRANGE', KEYS[1], nth - 1, nth - 1, 'WITHSCORES')[2]
  if other then
    departure = math.max(departure, other + after)
  end
end
no_earlier_than(1, tonumber(ARGV[4]))
for n = 8, #ARGV, 2 do
  no_earlier_than(tonumber(ARGV[n]), tonumber(ARGV[n + 1]))
end

if departure > tonumber(ARGV[3]) then
  return {string.format('%.3f', now)}
end
redis.call('ZADD', KEYS[1], string.format('%.3f', departure), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[7] - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil(departure - now) + 15000)
-- Those that follow are put off little by little until nobody waits so long: else all would be
-- counted long before they leave, when nobody knows yet who leaves late.
local beyond = departure - wanted - ARGV[5]
if beyond > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('INCRBYFLOAT', KEYS[2], string.format('%.3f', ARGV[6] * beyond))
end
return {string.format('%.3f', now), string.format('%.3f', departure)}
