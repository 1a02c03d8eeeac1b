"""Profiles, held against pandas and numpy."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from services.dataset.ingestion.histograms import day_edges, even_edges, integer_edges
from services.dataset.ingestion.pipeline import ingest
from services.dataset.ingestion.tasks import Limits, Task
from services.dataset.ingestion.values import QUANTILES
from tests.dataset.ingestion.conftest import Ingest, Ingested

FLIGHTS = Path(__file__).resolve().parents[3] / "demo" / "flights.csv"
FRAME = pd.read_csv(FLIGHTS, parse_dates=["date"])
NUMBERS = [
    "departure_delay",
    "arrival_delay",
    "air_time",
    "distance",
    "plane_year",
    "temperature",
    "wind_gust",
    "visibility",
]
CATEGORIES = ["carrier", "origin", "manufacturer", "cancelled"]  # the destinations are too many for Cramér's V


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """The demonstration's table, read in."""
    task = Task(source=FLIGHTS, directory=tmp_path_factory.mktemp("flights"))
    outcome = ingest(task, lambda _stage, _progress, _rows: None)
    return Ingested(outcome, pq.read_table(outcome.table))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(flights: Ingested, name: str) -> None:
    """Counts, extremes, moments, quantiles and decimals of numbers are pandas's."""
    profile, series = flights.profile(name), FRAME[name]
    assert (profile["count"], profile["missing_count"]) == (series.count(), series.isna().sum())
    assert profile["missing_fraction"] == pytest.approx(series.isna().mean())
    assert profile["distinct_count"] == series.nunique()
    numeric = profile["numeric"]
    assert (numeric["minimum"], numeric["maximum"]) == (series.min(), series.max())
    assert numeric["mean"] == pytest.approx(series.mean())
    assert numeric["standard_deviation"] == pytest.approx(series.std())
    assert [quantile["value"] for quantile in numeric["quantiles"]] == pytest.approx(
        series.quantile(QUANTILES).tolist()
    )
    assert numeric["decimal_places"] == {"temperature": 2, "wind_gust": 2, "visibility": 2}.get(name, 0)
    histogram = profile["histogram"]
    counts, _ = np.histogram(series.dropna(), bins=histogram["edges"])
    assert histogram["counts"] == counts.tolist()
    assert sum(histogram["counts"]) == series.count()


@pytest.mark.parametrize("name", [*CATEGORIES, "destination"])
def test_top_values(flights: Ingested, name: str) -> None:
    """The most frequent values come first, with their counts."""
    texts = FRAME[name].dropna().astype(str).str.replace("True", "true").str.replace("False", "false")
    expected = sorted(texts.value_counts().items(), key=lambda item: (-item[1], str(item[0])))[:20]
    profile = flights.profile(name)
    assert [(top["value"], top["count"]) for top in profile["top_values"]] == expected
    assert profile["distinct_count"] == FRAME[name].nunique()


def test_dates(flights: Ingested) -> None:
    """Dates have extremes and a histogram over whole days."""
    profile = flights.profile("date")
    assert profile["temporal"] == {"minimum": "2013-01-01", "maximum": FRAME["date"].max().date().isoformat()}
    seconds = FRAME["date"].astype("int64") / 1e9
    counts, _ = np.histogram(seconds, bins=profile["histogram"]["edges"])
    assert profile["histogram"]["counts"] == counts.tolist()
    assert all(edge % 86_400 == 0 for edge in profile["histogram"]["edges"])


def test_correlations(flights: Ingested) -> None:
    """Pearson's r of numbers and Cramér's V of categories, over the rows that have both."""
    found = {(one["first"], one["second"]): one for one in flights.outcome.profile["correlations"]}
    expected = FRAME[NUMBERS].corr()
    for first, second in combinations(NUMBERS, 2):
        assert found[first, second]["method"] == "pearson"
        assert found[first, second]["value"] == pytest.approx(expected.loc[first, second])
    for first, second in combinations(CATEGORIES, 2):
        pair = found.get((first, second)) or found[second, first]
        assert pair["method"] == "cramers_v"
        assert pair["value"] == pytest.approx(_cramers_v(pd.crosstab(FRAME[first], FRAME[second]).to_numpy(float)))


def _cramers_v(table: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> float:
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    chi_squared = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi_squared / table.sum() / (min(table.shape) - 1)))


def test_text(read: Ingest) -> None:
    """Text and identifiers have lengths in characters, and no top values."""
    lines = ["id,remark", *(f"K{n},größer als {n} 😀" for n in range(50))]
    found = read("\n".join(lines))
    lengths = [len(line.split(",")[1]) for line in lines[1:]]
    profile = found.profile("remark")
    assert profile["type"] == "text"
    assert profile["text"] == {
        "minimum_length": min(lengths),
        "maximum_length": max(lengths),
        "mean_length": pytest.approx(np.mean(lengths)),
    }
    assert "top_values" not in profile
    assert found.profile("id")["text"]["minimum_length"] == 2


def test_prose_beyond_memory(read: Ingest) -> None:
    """Long texts, all of them different but one, are counted in a fraction of the memory that they would fill."""
    texts = [f"{row:05d} " + "word " * 1_000 for row in range(8_000)]
    content = "text\n" + "".join(f"{text}\n" for text in [*texts, texts[0]])
    found = read(content, Limits(database_memory_bytes=40_000_000))
    assert found.profile("text")["distinct_count"] == 8_000
    assert found.outcome.profile["duplicate_row_count"] == 1


def test_duplicate_rows(read: Ingest) -> None:
    """Rows are duplicates if they equal an earlier one in every column, missing values too."""
    text = "a;b\n1;x\n1;x\n1;\n1;\n2;x\n"
    found = read(text)
    assert (
        found.outcome.profile["duplicate_row_count"]
        == pd.read_csv(__import__("io").StringIO(text), sep=";").duplicated().sum()
    )


def test_warnings(read: Ingest) -> None:
    """What a user should know is said once, naming the columns."""
    lines = ["id,constant,empty,gaps,many,inf"]
    lines += [f"{n},7,,{'x' if n % 3 == 0 else ''},v{n % 300},{'inf' if n == 5 else n / 2}" for n in range(1, 901)]
    warnings = read("\n".join(lines)).outcome.profile["warnings"]
    for text in (
        "No value is there in “empty”.",
        "More than half of the values are missing in “gaps”.",
        "Every value is the same in “constant”.",
        "More than 100 different values, many for categories, are in “many”.",
        "Values that are (nearly) all different, and so look like an identifier, are in “id”.",
    ):
        assert text in warnings
    assert read("a,b\n1,2\n").outcome.profile["warnings"][0].startswith("The table has very few rows (1)")


def test_extreme_numbers(read: Ingest) -> None:
    """The largest doubles, a single value, and nothing but infinity have profiles without infinities in them."""
    found = read("a,b,c\n1.7e308,0.5,inf\n-1.7e308,0.5,-inf\n3.5,0.5,inf\n")
    histogram = found.profile("a")["histogram"]
    assert sum(histogram["counts"]) == 3
    assert np.isfinite(histogram["edges"]).all()
    assert found.profile("b")["numeric"]["standard_deviation"] == 0
    assert found.profile("b")["histogram"] == {"edges": [0.0, 1.0], "counts": [3]}
    assert "numeric" not in found.profile("c")


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 0), (1, 5), (0, 19), (0, 20), (-7, 1000), (0, 2**62)])
def test_integer_edges(minimum: int, maximum: int) -> None:
    """Edges of integers are whole, ascend, and hold every number; few numbers have a bin each."""
    edges = integer_edges(minimum, maximum)
    assert edges == sorted(set(edges))
    assert all(edge == int(edge) for edge in edges)
    assert edges[0] == minimum
    assert edges[-1] >= maximum
    assert len(edges) <= 22


def test_even_edges() -> None:
    """Edges of floats begin and end at the extremes and ascend, also where doubles are sparse."""
    assert even_edges(0.0, 1.0)[0] == 0.0
    assert even_edges(0.0, 1.0)[-1] == 1.0
    assert len(even_edges(0.0, 1.0)) == 21
    for low, high in ((1e16, 1e16 + 4), (-1.7e308, 1.7e308), (5e-324, 1e-323)):
        edges = even_edges(low, high)
        assert edges == sorted(set(edges))
        assert np.isfinite(edges).all()
    assert day_edges(0.0, 86_400.0) == [0.0, 86_400.0, 172_800.0]
