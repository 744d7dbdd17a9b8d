"""What must hold in the tables at every moment (DESIGN.md 3), as queries for what breaks it."""

PER_DAY, LIVE_IN_CAMPAIGN, LIVE_IN_ALL = 2, 2, 3
"""Limits of the deployment that is tried."""

# What is wrong in the tables. Each answers the rows that break a promise.
BROKEN = {
    "a lead has one live attempt": """
        SELECT lead_id FROM attempts WHERE state <> 'ended' AND direction = 'outbound'
        GROUP BY lead_id HAVING count(*) > 1""",
    "a number has one live attempt": """
        SELECT phone FROM attempts WHERE state <> 'ended' AND direction = 'outbound'
        GROUP BY phone HAVING count(*) > 1""",
    "an active lead has a live attempt": """
        SELECT l.id FROM leads l LEFT JOIN attempts a ON a.id = l.live_attempt_id
        WHERE (l.state = 'active') <> (l.live_attempt_id IS NOT NULL)
        OR l.state = 'active' AND (a.state = 'ended' OR a.lead_id <> l.id)""",
    "a live attempt is its lead's": """
        SELECT a.id FROM attempts a JOIN leads l ON l.id = a.lead_id
        WHERE a.state <> 'ended' AND l.live_attempt_id IS DISTINCT FROM a.id""",
    "no lead is stuck": """
        SELECT id FROM leads WHERE state IN ('backlog', 'retry') AND next_attempt_at IS NULL
        OR state = 'finished' AND next_attempt_at IS NOT NULL""",
    "who opted out is not called": """
        SELECT a.id FROM attempts a JOIN suppressions s ON s.phone = a.phone
        WHERE a.state NOT IN ('queued', 'ended') AND a.stop_reason IS NULL
        AND s.attempt_id IS DISTINCT FROM a.id""",
    "a campaign has so many live calls": f"""
        SELECT campaign_id FROM attempts WHERE state <> 'ended' GROUP BY campaign_id
        HAVING count(*) > {LIVE_IN_CAMPAIGN}""",
    "the deployment has so many live calls": f"""
        SELECT count(*) FROM attempts WHERE state <> 'ended' HAVING count(*) > {LIVE_IN_ALL}""",
    "a number is called so often in a day": f"""
        SELECT phone FROM attempts WHERE intent_at > now() - interval '1 day'
        AND (state <> 'ended' OR spent) GROUP BY phone HAVING count(*) > {PER_DAY}""",
    "what is held, too early or too late is not dialed": """
        SELECT a.id FROM attempts a JOIN leads l ON l.id = a.lead_id
        WHERE a.state NOT IN ('queued', 'ended')
        AND (l.held_at IS NOT NULL OR a.intent_at >= l.expires_at OR a.intent_at < l.not_before)""",
}

# Everything happened so much earlier than it did.
AGED = {
    "attempts": "queued_at hinted_at claim_expires_at intent_at initiated_at ringing_at "
    "answered_at ended_at heard_at",
    "leads": "next_attempt_at not_before expires_at refused_at",
    "unsettled": "created_at",
    "call_events": "occurred_at received_at",
}
