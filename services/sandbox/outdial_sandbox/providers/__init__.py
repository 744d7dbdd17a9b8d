"""Deepgram and Groq, spoken over their own protocols."""
