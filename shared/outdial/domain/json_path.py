"""Dotted paths into a JSON document, like `order.lines.0.name`."""


def at_path(document: object, path: str) -> object:
    """What stands there; None if nothing does."""
    found = document
    for part in path.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found
