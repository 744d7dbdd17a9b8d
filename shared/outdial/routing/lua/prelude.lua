-- Shared by every script. ARGV[1] is the prefix of pods' keys; the rest is the script's own.
local EPOCH, PODS, SEEN, READY, SLOTS, DRAINS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A pod's sets outlive it by this much, so that nothing of a pod that is gone stays for ever.
local FORGET = 600000

local function set_of(pod, kind)
  return ARGV[1] .. pod .. ':' .. kind
end

-- {pod, boot, since} of the slot held for an attempt, or nil.
local function holder_of(attempt)
  local held = redis.call('HGET', SLOTS, attempt)
  if not held then return nil end
  local pod, boot, since = string.match(held, '^(%S+) (%S+) (%d+)$')
  if not pod then return nil end
  return {pod = pod, boot = boot, since = tonumber(since)}
end

local function hold(attempt, pod, boot, lease)
  local key = set_of(pod, 'reserved')
  redis.call('ZADD', key, now + lease, attempt)
  redis.call('PEXPIRE', key, math.max(FORGET, lease))
  redis.call('HSET', SLOTS, attempt, pod .. ' ' .. boot .. ' ' .. string.format('%d', now))
end

-- What the pod said last, if it is still heard.
local function fresh_pod(pod)
  local text = redis.call('HGET', PODS, pod)
  if not text then return nil end
  local said = cjson.decode(text)
  local seen = tonumber(redis.call('ZSCORE', SEEN, pod) or 0)
  if now - seen > said.out_after then return nil end
  return said
end

-- Slots in use: entries of both sets whose lease stands. One id is never in both.
local function load_of(pod)
  local reserved, live = set_of(pod, 'reserved'), set_of(pod, 'live')
  redis.call('ZREMRANGEBYSCORE', reserved, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', live, '-inf', now)
  return redis.call('ZCARD', reserved) + redis.call('ZCARD', live)
end

-- Keep the index of pods that take calls in step with one pod's load.
local function index(pod, said, used)
  if said and said.state == 'ready' and said.slots > 0 then
    redis.call('ZADD', READY, used / said.slots, pod)
  else
    redis.call('ZREM', READY, pod)
  end
end

-- The slot that an attempt holds, its lease renewed; nil when its pod went silent, was started anew,
-- or drains before the call was answered.
local function keep(attempt, held, lease)
  local said = fresh_pod(held.pod)
  if not said or said.boot ~= held.boot then return nil end
  local live = tonumber(redis.call('ZSCORE', set_of(held.pod, 'live'), attempt) or 0)
  if live <= now then
    local reserved = tonumber(redis.call('ZSCORE', set_of(held.pod, 'reserved'), attempt) or 0)
    if reserved <= now or said.state ~= 'ready' then return nil end
    redis.call('ZADD', set_of(held.pod, 'reserved'), math.max(reserved, now + lease), attempt)
  end
  return {'slot', held.pod, held.boot, said.url}
end

local function let_go(attempt, held)
  redis.call('ZREM', set_of(held.pod, 'reserved'), attempt)
  redis.call('HDEL', SLOTS, attempt)
  local said = redis.call('HGET', PODS, held.pod)
  index(held.pod, said and cjson.decode(said), load_of(held.pod))
end
