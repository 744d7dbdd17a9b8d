-- Slots that a reservation could have at this moment.
if redis.call('EXISTS', EPOCH) == 0 then return 0 end
local free = 0
for _, pod in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  local said = fresh_pod(pod)
  if said then free = free + math.max(0, said.slots - load_of(pod)) end
end
return free
