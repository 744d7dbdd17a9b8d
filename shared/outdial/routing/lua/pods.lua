-- ARGV: cursor, how many to look at. Answers [next cursor, said, reserved, live, age ms, said, ...] as
-- JSON: one text is read in a third of the time that hundreds of values take.
-- By pages, so that neither Redis nor who asks is held up by a large fleet.
local page = redis.call('HSCAN', PODS, ARGV[2], 'COUNT', ARGV[3])
local found = {page[1]}
local after = '(' .. now
for i = 1, #page[2], 2 do
  local pod = page[2][i]
  local seen = redis.call('ZSCORE', SEEN, pod)
  if seen then
    found[#found + 1] = page[2][i + 1]
    found[#found + 1] = redis.call('ZCOUNT', set_of(pod, 'reserved'), after, '+inf')
    found[#found + 1] = redis.call('ZCOUNT', set_of(pod, 'live'), after, '+inf')
    found[#found + 1] = now - tonumber(seen)
  end
end
return cjson.encode(found)
