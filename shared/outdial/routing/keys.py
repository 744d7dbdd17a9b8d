"""Names of keys in Redis. Everything under them is a lease or a view: it may vanish at any moment.

All live in one hash slot's worth of names only when Redis is not a cluster; a cluster would need
`{outdial}` in each name.
"""

EPOCH = "outdial:epoch"
"""Set once reservations are rebuilt from Postgres; missing in an emptied Redis."""

PODS = "outdial:pods"
"""Hash: pod → JSON of what it said last."""

SEEN = "outdial:pods:seen"
"""Sorted set: pod → when it was last heard, in Redis's milliseconds."""

READY = "outdial:pods:ready"
"""Sorted set: pod that takes calls → its share of slots in use. An index, checked at each use."""

SLOTS = "outdial:slots"
"""Hash: attempt → `pod boot_id since`, who holds its slot. Written with the pod's sets."""

DRAINS = "outdial:pods:drains"
"""Hash: pod → the boot id that an operator asked to drain. A restart is another life, and ready."""

POD_PREFIX = "outdial:pod:"
"""`outdial:pod:{pod}:reserved` and `:live`: sorted sets, attempt → end of its lease."""

SCRIPT_KEYS = [EPOCH, PODS, SEEN, READY, SLOTS, DRAINS]
"""What every script is given, in this order."""
