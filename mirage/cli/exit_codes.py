"""What the command line tells the shell."""

from mirage import errors

OK = 0
FAILURE = 1
USAGE = 2
NOT_SIGNED_IN = 3
NOT_FOUND = 4
NOT_ALLOWED = 5
NOT_POSSIBLE = 6
UNAVAILABLE = 7
ENDED_BADLY = 8
INTERRUPTED = 130

EXPLANATION = """\
Exit codes: 0 done · 1 failed · 2 wrong command or request · 3 not signed in · 4 no such thing · 5 not allowed ·
6 not possible in this state · 7 the platform can't be reached or is busy: try again ·
8 the job, the study, or reading the file ended badly · 130 interrupted
"""

# The first class that fits decides.
_CODES: tuple[tuple[type[errors.MirageError], int], ...] = (
    (errors.JobNotSucceeded, ENDED_BADLY),
    (errors.StudyFailed, ENDED_BADLY),
    (errors.DatasetFailed, ENDED_BADLY),
    (errors.InvalidRequest, USAGE),
    (errors.NotSignedIn, NOT_SIGNED_IN),
    (errors.NotFound, NOT_FOUND),
    (errors.PermissionDenied, NOT_ALLOWED),
    (errors.AlreadyExists, NOT_POSSIBLE),
    (errors.NotPossible, NOT_POSSIBLE),
    (errors.Unavailable, UNAVAILABLE),
    (errors.LimitExceeded, UNAVAILABLE),
    (errors.TimedOut, UNAVAILABLE),
)


def exit_code(error: errors.MirageError) -> int:
    """Returns the code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILURE)
