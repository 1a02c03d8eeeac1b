"""Bayesian search against random search and a grid, on recorded surfaces of three real tables.

Every method searches the same ranges for 20 trials with five seeds; a trial's score is read from the surface, linearly
between the recorded points. What counts is the best score after each trial.
"""

import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from benchmarks.measuring import Stopwatch
from benchmarks.search_surfaces import SURFACES
from services.optimizer.search import Goal, Outcome, ParameterInfo, Point, SearchSettings, Space, create, parse_space

TRIALS = 20
SEEDS = range(5)
PICTURE = Path(__file__).parent.parent / "docs" / "search.png"

# What is compared: a name, the method and its acquisition function.
CONTENDERS = (
    ("grid", "grid", "EI"),
    ("random", "random", "EI"),
    ("bayesian, EI", "bayesian", "EI"),
    ("bayesian, LCB", "bayesian", "LCB"),
    ("bayesian, PI", "bayesian", "PI"),
    ("bayesian, gp_hedge", "bayesian", "gp_hedge"),
)
DRAWN = ("grid", "random", "bayesian, EI")


@dataclass(frozen=True)
class Surface:
    """A table's recorded scores, and the space that is searched on it."""

    table: str
    model_type: str
    space: Space
    scores: RegularGridInterpolator
    best: float
    worst: float

    @staticmethod
    def read(path: Path) -> "Surface":
        """The surface that a file holds."""
        recorded: Mapping[str, Any] = json.loads(path.read_text())
        levels: Mapping[str, Sequence[float]] = recorded["levels"]
        parameters = [
            ParameterInfo(name, "integer" if isinstance(values[0], int) else "number", min(values), max(values))
            for name, values in levels.items()
        ]
        if recorded["model_type"] == "ctgan":
            parameters.append(ParameterInfo("pac", "integer", 1, 100, default=10))  # batches are multiples of it
        space = parse_space({name: [min(values), max(values)] for name, values in levels.items()}, parameters)
        axes = [
            sorted(space.encode(_point(levels, name, value))[place] for value in values)
            for place, (name, values) in enumerate(levels.items())
        ]
        grid = np.array(recorded["scores"]).reshape([len(values) for values in levels.values()])
        return Surface(
            recorded["table"],
            recorded["model_type"],
            space,
            RegularGridInterpolator(axes, grid),
            max(recorded["scores"]),
            min(recorded["scores"]),
        )

    def score(self, point: Point) -> float:
        """The score at a point: linear between the recorded ones, on each parameter's own scale."""
        return float(self.scores(self.space.encode(point))[0])

    def searched(self, method: str, acquisition: str, seed: int) -> list[float]:
        """The best score after each of the trials; the last one stays if a method ends before."""
        search = create(self.space, SearchSettings(method, TRIALS, seed, Goal(), acquisition))
        scores = []
        while suggestions := search.ask():
            for suggestion in suggestions:
                scores.append(self.score(suggestion.point))
                search.tell(suggestion.number, Outcome.succeeded({"quality_score": scores[-1]}))
        bests = list(accumulate(scores, max))
        return [*bests, *[bests[-1]] * (TRIALS - len(bests))]


def surfaces() -> list[Surface]:
    """All that were recorded."""
    return [Surface.read(path) for path in sorted(SURFACES.glob("*.json"))]


def run() -> Iterator[str]:
    """Best score by trial on recorded surfaces: grid, random and Bayesian search, 20 trials, 5 seeds."""
    drawn = {}
    for surface in surfaces():
        yield (
            f"{surface.table}, {surface.model_type}, {', '.join(surface.space.names)}; "
            f"recorded scores {surface.worst:.3f} to {surface.best:.3f}"
        )
        yield f"  {'':<20} {'trial 5':>8} {'10':>8} {'20':>8} {'worst':>8}   median of {len(SEEDS)} seeds"
        for name, method, acquisition in CONTENDERS:
            with Stopwatch() as watch:
                runs = [surface.searched(method, acquisition, seed) for seed in SEEDS]
            medians = [statistics.median(best[trial] for best in runs) for trial in range(TRIALS)]
            drawn[surface.table, name] = runs
            yield (
                f"  {name:<20} {medians[4]:8.4f} {medians[9]:8.4f} {medians[19]:8.4f} "
                f"{min(best[-1] for best in runs):8.4f}   {watch.seconds / len(SEEDS):.1f} s a search"
            )
    if os.environ.get("BENCH_SEARCH_PICTURE"):
        draw(drawn, PICTURE)
        yield f"drawn to {PICTURE.name}"


def draw(runs: Mapping[tuple[str, str], Sequence[Sequence[float]]], path: Path) -> None:
    """Draws the median best score by trial, and the range over seeds, a table beside the other."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    tables = list(dict.fromkeys(table for table, _ in runs))
    figure, axes = pyplot.subplots(1, len(tables), figsize=(4 * len(tables), 3.4), constrained_layout=True)
    for axis, table in zip(axes, tables, strict=True):
        for name, colour in zip(DRAWN, ("#888888", "#d97706", "#2563eb"), strict=True):
            bests = np.array(runs[table, name])
            trials = np.arange(1, TRIALS + 1)
            axis.fill_between(trials, bests.min(axis=0), bests.max(axis=0), color=colour, alpha=0.15, linewidth=0)
            axis.plot(trials, np.median(bests, axis=0), color=colour, label=name)
        axis.set_title(table)
        axis.set_xlabel("trials")
        axis.set_xticks([1, 5, 10, 15, 20])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("best quality score so far")
    axes[0].legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _point(levels: Mapping[str, Sequence[float]], name: str, value: float) -> dict[str, Any]:
    return {each: values[0] for each, values in levels.items()} | {name: value}
