"""The tests. What holds for every process that runs them stands here, since it is imported before anything else."""

import os

# Tests start programs from processes in which gRPC is at work. Its handlers would run at each fork, for children that
# replace themselves at once and need none of it; now and then one of those children didn't get that far.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
