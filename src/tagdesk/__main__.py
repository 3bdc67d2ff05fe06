"""Runs the command line for `python -m tagdesk`."""

from tagdesk.cli import main

if __name__ == "__main__":
    main()
