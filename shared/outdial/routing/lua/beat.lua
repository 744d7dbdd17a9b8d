-- ARGV: pod, what it says (JSON with boot, slots, state, out_after), live lease ms, then the ids it speaks to.
-- Answers 1 or 0, whether an operator asked this life of it to drain, then the ids reserved on it.
local pod, text, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local said = cjson.decode(text)
local reserved, live = set_of(pod, 'reserved'), set_of(pod, 'live')

local drain = 0
local asked = redis.call('HGET', DRAINS, pod)
if asked == said.boot then
  drain = 1
  said.state = 'draining'
  text = cjson.encode(said)
elseif asked then
  redis.call('HDEL', DRAINS, pod)
end

redis.call('HSET', PODS, pod, text)
redis.call('ZADD', SEEN, now, pod)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - FORGET)) do
  redis.call('HDEL', PODS, gone)
  redis.call('ZREM', SEEN, gone)
  redis.call('ZREM', READY, gone)
  redis.call('HDEL', DRAINS, gone)
end

-- The pod knows best whom it speaks to: its word replaces what was written before.
redis.call('DEL', live)
for i = 5, #ARGV do
  redis.call('ZADD', live, now + lease, ARGV[i])
  redis.call('ZREM', reserved, ARGV[i])
end
if #ARGV >= 5 then redis.call('PEXPIRE', live, FORGET) end

-- A new life inherits nothing, and what moved elsewhere meanwhile is not ours.
local used = load_of(pod)
local ours = {drain}
for _, attempt in ipairs(redis.call('ZRANGE', reserved, 0, -1)) do
  local held = holder_of(attempt)
  if held and held.pod == pod and held.boot == said.boot then
    ours[#ours + 1] = attempt
  else
    redis.call('ZREM', reserved, attempt)
    if held and held.pod == pod then redis.call('HDEL', SLOTS, attempt) end
    used = used - 1
  end
end
index(pod, said, used)
return ours
