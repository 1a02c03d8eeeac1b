"""`python -m services.activity.audit_key_rotation`: makes a new key that signs the log, and takes over by itself.

Needs `AUDIT_KEYS_DIR`, as the service does, which may or may not be running: it looks into that directory for itself.
"""

import argparse
import sys

from servicekit import logs
from servicekit.settings import ConfigurationError, load
from services.activity.audit_keys import rotate
from services.activity.settings import AuditSettings


def main() -> None:
    """The command line; exits with 2 where the directory can't be used."""
    argparse.ArgumentParser(prog="python -m services.activity.audit_key_rotation", description=__doc__).parse_args()
    settings = load(AuditSettings)
    logs.configure("activity", "WARNING")  # what is done is said in words
    try:
        key_id = rotate(settings.audit_keys_dir)
    except ConfigurationError as error:
        print(f"The keys can't be rotated: {error}", file=sys.stderr)  # noqa: T201 - what a command is for
        raise SystemExit(2) from None
    print(  # noqa: T201 - what a command is for
        f"The log is signed with the key {key_id} from now on.\n"
        "What older keys signed is checked with their public halves, which stay published; the private are destroyed."
    )


if __name__ == "__main__":
    main()
