"""The carrier: Twilio's REST, webhooks, TwiML and media streams."""
