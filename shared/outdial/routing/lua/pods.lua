-- Answers JSON texts: {said, reserved, live, age ms} of every pod that is remembered.
local found = {}
for _, pod in ipairs(redis.call('ZRANGE', SEEN, 0, -1)) do
  local said = redis.call('HGET', PODS, pod)
  if said then
    local used = load_of(pod)
    local live = redis.call('ZCARD', set_of(pod, 'live'))
    local seen = tonumber(redis.call('ZSCORE', SEEN, pod))
    found[#found + 1] = {said, used - live, live, now - seen}
  end
end
return found
