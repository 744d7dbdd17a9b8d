"""The media pod: a Twilio media stream in, a Pipecat conversation behind it."""
