-- ARGV: new epoch, then (attempt, pod, boot, lease ms) for each live attempt.
-- Whoever comes first rebuilds; the others answer 0 and change nothing.
if redis.call('EXISTS', EPOCH) == 1 then return 0 end
for i = 3, #ARGV, 4 do
  hold(ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]))
end
redis.call('SET', EPOCH, ARGV[2])
return 1
