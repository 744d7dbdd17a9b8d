-- KEYS: when calls depart (ms, latest first). ARGV: ms until the departure, longest ms to wait, least
-- ms after the last one, how many to keep, what this one was counted as before (or ''), then pairs:
-- most calls, in how many ms. Answers {ms to wait, the mark of what is counted}; '' when too long.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
if ARGV[5] ~= '' then
  redis.call('LREM', KEYS[1], 1, ARGV[5])
end

local departure = now + math.max(0, tonumber(ARGV[1]))
local function no_earlier_than(nth, after)
  local other = redis.call('LINDEX', KEYS[1], nth - 1)
  if other then
    departure = math.max(departure, other + after)
  end
end
no_earlier_than(1, tonumber(ARGV[3]))
for n = 6, #ARGV, 2 do
  no_earlier_than(tonumber(ARGV[n]), tonumber(ARGV[n + 1]))
end

local wait = departure - now
if wait > tonumber(ARGV[2]) then
  return ''
end
local mark = string.format('%.3f', departure)
redis.call('LPUSH', KEYS[1], mark)
redis.call('LTRIM', KEYS[1], 0, ARGV[4] - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil(wait) + 15000)
return {string.format('%.3f', wait), mark}
