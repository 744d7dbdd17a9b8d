"""A telephone network in a box that speaks Twilio's protocols."""
