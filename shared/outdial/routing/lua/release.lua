-- ARGV: attempt. The live set is left alone: it is the pod's word, renewed or not by its next beat.
local held = holder_of(ARGV[2])
if not held then return 0 end
let_go(ARGV[2], held)
return 1
