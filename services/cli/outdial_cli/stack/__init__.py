"""The launcher of a local stack: embedded stores and every service, as children of one process."""
