"""Twilio: the REST adapter, signatures, TwiML."""
