"""`python -m benchmarks [NAME …]`: runs all benchmarks, or those that are named, and prints what they measured."""

import argparse
import os
import platform

from benchmarks import (
    activity,
    audit,
    jobs,
    limits,
    metrics,
    optimizer,
    overhead,
    quality,
    search,
    startup,
    statistics_figures,
    status,
    subscribers,
    tracing,
    upload,
)

BENCHMARKS = {
    "startup": startup.run,
    "activity": activity.run,
    "statistics": statistics_figures.run,
    "upload": upload.run,
    "status": status.run,
    "limits": limits.run,
    "subscribers": subscribers.run,
    "metrics": metrics.run,
    "tracing": tracing.run,
    "overhead": overhead.run,
    "jobs": jobs.run,
    "search": search.run,
    "quality": quality.run,
    "optimizer": optimizer.run,
    "audit": audit.run,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHMARKS)}; all if none")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    for name in names:
        print(f"\n{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        for line in BENCHMARKS[name]():
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
