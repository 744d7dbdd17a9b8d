"""`python -m outdial_cli`: the same as `outdial`."""

from outdial_cli.main import main

if __name__ == "__main__":
    main()
