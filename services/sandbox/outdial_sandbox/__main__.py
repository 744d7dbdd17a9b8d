"""`python -m outdial_sandbox carrier | providers`: the two processes of the sandbox.

`carrier` is Twilio and the telephone network, `providers` are Deepgram and Groq. They are apart
because recognition holds Python's lock for longer than the carrier's 20 ms.
"""

import argparse
import importlib
import logging
import sys

_PROCESSES = ("carrier", "providers")


def main() -> int:
    """Run one of them. 0 when it was asked to stop, 2 for wrong usage."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    if which not in _PROCESSES:
        asked = which in ("-h", "--help")
        usage = f"usage: python -m outdial_sandbox {{{','.join(_PROCESSES)}}} [--help]"
        print(usage, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    return _run(which, sys.argv[2:])


def _run(which: str, arguments: list[str]) -> int:
    """Each process loads its own half only."""
    command = importlib.import_module(f"outdial_sandbox.{which}.command")
    parser = argparse.ArgumentParser(f"python -m outdial_sandbox {which}")
    command.add_arguments(parser)
    try:
        command.run(parser.parse_args(arguments))
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        pass  # Ctrl-C is how one stops it
    return 0


if __name__ == "__main__":
    sys.exit(main())
