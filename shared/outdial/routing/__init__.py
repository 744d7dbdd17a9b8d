"""Which media pod takes which call."""
