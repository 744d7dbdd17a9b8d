"""What goes wrong at the user's end, said in words that tell what to do."""


class CommandFailedError(Exception):
    """Printed to stderr as it is; the command ends with exit code 1."""
