-- ARGV: attempt, 'live' or ''. {pod, boot, url} while its slot stands on a pod that is heard;
-- 'live': while that pod says that it speaks.
local held = holder_of(ARGV[2])
if not held then return {} end
local said = fresh_pod(held.pod)
if not said or said.boot ~= held.boot then return {} end
local reserved = tonumber(redis.call('ZSCORE', set_of(held.pod, 'reserved'), ARGV[2]) or 0)
local live = tonumber(redis.call('ZSCORE', set_of(held.pod, 'live'), ARGV[2]) or 0)
if live <= now and (ARGV[3] == 'live' or reserved <= now) then return {} end
return {held.pod, held.boot, said.url}
