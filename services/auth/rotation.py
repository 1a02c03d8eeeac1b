"""`python -m services.auth.rotation`: makes a new signing key, which takes over by itself.

Needs `SIGNING_KEYS_DIR`, as the service does, which may or may not be running: it looks into that directory for itself.
"""

import argparse
import sys

from servicekit import logs
from servicekit.settings import ConfigurationError, load
from servicekit.timestamps import utc_now
from services.auth.keys import rotate
from services.auth.settings import TokenSettings


def main() -> None:
    """The command line; exits with 2 where the directory can't be used."""
    argparse.ArgumentParser(prog="python -m services.auth.rotation", description=__doc__).parse_args()
    settings = load(TokenSettings)
    logs.configure("auth", "WARNING")  # what is done is said in words
    try:
        key, is_new = rotate(settings.signing_keys_dir, settings.key_publication, settings.signed_lifetime)
    except ConfigurationError as error:
        print(f"The keys can't be rotated: {error}", file=sys.stderr)  # noqa: T201 - what a command is for
        raise SystemExit(2) from None
    wait_s = max(0, round((key.signs_from - utc_now()).total_seconds()))
    made = "Made the key" if is_new else "Already waiting is the key"
    print(  # noqa: T201 - what a command is for
        f"{made} {key.key_id}.\n"
        f"It is published at once and signs in {wait_s} s, from {key.signs_from:%Y-%m-%d %H:%M:%S} UTC on.\n"
        "Tokens that the old key signed stay good for as long as they would have; then the old key is deleted."
    )


if __name__ == "__main__":
    main()
