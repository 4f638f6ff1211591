"""`python -m weft.cli` is `weft`."""

from weft.cli.main import main

if __name__ == "__main__":
    main()
