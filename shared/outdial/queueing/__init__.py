"""The Celery app, task names and dial tokens."""
