-- KEYS: next departure (ms, fractional), slowdown. ARGV: interval in ms at full pace, notice in ms,
-- by how much it may be late (ms).
-- Answers {now, departure}, in ms on Redis's own clock, so that every worker shares it; as text.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local interval = tonumber(ARGV[1])
local earliest = now + tonumber(ARGV[2])
local slower = tonumber(redis.call('GET', KEYS[2]) or '0')
interval = interval * 2 ^ slower

local departure = tonumber(redis.call('GET', KEYS[1]) or 'nan')
if departure ~= departure then
  -- Nothing is known of the second that just passed (an emptied Redis): let it pass once more.
  departure = now + 1000
elseif departure < earliest - tonumber(ARGV[3]) then
  departure = earliest
end
-- Kept long enough that a missing key always means a second in which nobody knows what was dialed.
local after = departure + interval
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil(after - now) + 60000)
return {string.format('%.3f', now), string.format('%.3f', departure)}
