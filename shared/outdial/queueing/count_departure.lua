-- KEYS: when the last calls departed (ms, newest first). ARGV: most in a second, most in ten seconds.
-- Answers ms to wait before there is room, as text; '0': the call is counted and departs now.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000

local function wait_for_room(most, window)
  local departed = redis.call('LINDEX', KEYS[1], most - 1)
  if not departed then
    return 0
  end
  return math.max(0, departed + window - now)
end

local most_in_ten = tonumber(ARGV[2])
local wait = math.max(wait_for_room(tonumber(ARGV[1]), 1000), wait_for_room(most_in_ten, 10050))
if wait > 0 then
  return string.format('%.3f', wait)
end
redis.call('LPUSH', KEYS[1], string.format('%.3f', now))
redis.call('LTRIM', KEYS[1], 0, most_in_ten - 1)
redis.call('PEXPIRE', KEYS[1], 15000)
return '0'
