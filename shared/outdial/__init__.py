"""Outdial: outbound calling with a voice AI. What every service shares."""
