-- ARGV: attempt, lease ms. {'slot', pod, boot, url} of the slot that it holds, or {}; takes none anew.
local held = holder_of(ARGV[2])
return held and keep(ARGV[2], held, tonumber(ARGV[3])) or {}
