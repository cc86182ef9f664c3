"""`python -m prm.cli` is the command `prm`."""

from prm.cli import main

if __name__ == "__main__":
    main()
