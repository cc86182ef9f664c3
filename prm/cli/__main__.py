"""`python -m prm.cli` is the command `prm`."""

from . import main

if __name__ == "__main__":
    main()
