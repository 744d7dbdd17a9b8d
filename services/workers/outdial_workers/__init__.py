"""Celery tasks: thin doors to operations."""
