-- ARGV: pod. Its present life takes no new calls from this moment; its next beat is told so.
-- Answers 1, or 0 if it is not heard.
local pod = ARGV[2]
local said = fresh_pod(pod)
if not said then return 0 end
redis.call('HSET', DRAINS, pod, said.boot)
said.state = 'draining'
redis.call('HSET', PODS, pod, cjson.encode(said))
redis.call('ZREM', READY, pod)
return 1
