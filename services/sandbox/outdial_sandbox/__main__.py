"""`python -m outdial_sandbox carrier | providers`: the two processes of the sandbox."""

import argparse
import logging
import sys


def main() -> int:
    """Run one of them. 0 when it was asked to stop, 2 for wrong usage."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    which = sys.argv[1] if len(sys.argv) > 1 else ""
    if which == "carrier":
        return _carrier(sys.argv[2:])
    if which == "providers":
        return _providers(sys.argv[2:])
    print("usage: python -m outdial_sandbox {carrier,providers} [--help]", file=sys.stderr)
    return 0 if which in ("-h", "--help") else 2


def _carrier(arguments: list[str]) -> int:
    """Twilio and the telephone network."""
    from outdial_sandbox.carrier import command  # each process loads its own half only

    parser = argparse.ArgumentParser("python -m outdial_sandbox carrier")
    command.add_arguments(parser)
    try:
        command.run(parser.parse_args(arguments))
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 0
    return 0


def _providers(arguments: list[str]) -> int:
    """Deepgram and Groq."""
    from outdial_sandbox.providers import command

    parser = argparse.ArgumentParser("python -m outdial_sandbox providers")
    command.add_arguments(parser)
    try:
        command.run(parser.parse_args(arguments))
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
