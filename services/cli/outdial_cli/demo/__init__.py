"""The demo: a campaign in the sandbox, checked against what really happened there."""
