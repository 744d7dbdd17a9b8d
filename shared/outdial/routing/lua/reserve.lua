-- ARGV: attempt, lease ms, pod to avoid, its boot id ('' for none), labels that a pod should carry
-- (JSON, '' for none), 1 if another pod will do when none of those has room.
-- Answers {'slot', pod, boot, url} | {'no_room'} | {'not_ready'}.
local attempt, lease = ARGV[2], tonumber(ARGV[3])
local avoid_pod, avoid_boot = ARGV[4], ARGV[5]
local wanted = ARGV[6] ~= '' and cjson.decode(ARGV[6]) or nil

if redis.call('EXISTS', EPOCH) == 0 then return {'not_ready'} end

local held = holder_of(attempt)
if held then
  local avoided = held.pod == avoid_pod and held.boot == avoid_boot
  local slot = not avoided and keep(attempt, held, lease)
  if slot then return slot end
  let_go(attempt, held)
end
-- A pod that has just lost a call may be dead, and only not yet missed: until it is heard again, no
-- other call is sent there either.
if avoid_pod ~= '' then
  local said = redis.call('HGET', PODS, avoid_pod)
  if said and cjson.decode(said).boot == avoid_boot then redis.call('ZREM', READY, avoid_pod) end
end

local function fits(said)
  local labels = cjson.decode(said.labels)
  for name, value in pairs(wanted) do
    if labels[name] ~= value then return false end
  end
  return true
end

-- The least loaded pod with room; only among those that carry the labels, if `strict`.
local function take(strict)
  for _, pod in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
    local said = fresh_pod(pod)
    if not said then
      redis.call('ZREM', READY, pod)
    elseif not (pod == avoid_pod and said.boot == avoid_boot) and (not strict or fits(said)) then
      local used = load_of(pod)
      if used < said.slots then
        hold(attempt, pod, said.boot, lease)
        index(pod, said, used + 1)
        return {'slot', pod, said.boot, said.url}
      end
      index(pod, said, used)
    end
  end
end

if not wanted then return take(false) or {'no_room'} end
return take(true) or (ARGV[7] == '1' and take(false)) or {'no_room'}
