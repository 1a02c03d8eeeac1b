"""The platform's log as evidence: how a record is hashed, sealed, proven and checked; pure, and without a network.

The activity service writes and judges its log by this package, and the command line checks by it what was exported, so
that an auditor needs nothing of the platform but the public keys.
"""
