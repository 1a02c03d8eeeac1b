"""`python -m deploy.local`: the whole platform on one machine."""

from deploy.local.command_line import main

if __name__ == "__main__":
    main()
