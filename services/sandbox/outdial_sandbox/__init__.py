"""A telephone network, and the speech and language providers, in a box."""
