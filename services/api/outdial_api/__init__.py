"""The gateway: REST for operators, webhooks and TwiML for Twilio."""
