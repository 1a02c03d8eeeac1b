"""The verdict in words."""

from services.generation.quality.findings import findings
from services.generation.quality.report import Detail, Figure, Metric, Part, PartName


def part(name: PartName, value: float | None, ceiling: float | None = 1.0) -> Part:
    """A part with a score."""
    score = None if value is None else Figure(value=value, low=value - 0.01, high=value + 0.01, ceiling=ceiling)
    return Part(name=name, score=score, reason="" if score else "There is no target.")


GOOD = [part(name, 0.97) for name in PartName]


def test_good() -> None:
    """A good table is called good, altogether first, with the score, its interval and what real rows reach."""
    found = findings(Figure(value=0.97, low=0.96, high=0.98, ceiling=0.99), GOOD)
    assert [each.part for each in found] == ["quality_score", *PartName]
    assert {each.verdict for each in found} == {"good"}
    assert "0.97 (95 % interval 0.96 to 0.98), where real rows reach 0.99" in found[0].text
    assert "no proof" in found[-1].text


def test_poor_privacy_comes_first() -> None:
    """However good the rest, poor privacy is told first and makes the table unfit to be shared."""
    found = findings(Figure(value=0.9, ceiling=0.95), [*GOOD[:3], part(PartName.PRIVACY, 0.4)])
    assert [each.part for each in found[:2]] == ["privacy", "quality_score"]
    assert [each.verdict for each in found] == ["poor", "poor", "good", "good", "good"]
    assert "isn't fit to be shared" in found[1].text


def test_what_decides_of_privacy() -> None:
    """Of privacy that isn't good, what decides is told with its figure, what real rows reach and in words."""
    metrics = [
        Metric(name=name, figure=Figure(value=value, ceiling=0.5), weight=weight, description=f"What {name} is.")
        for name, value, weight in (("closer_to_training", 0.51, 0.0), ("membership_auc", 0.7, 1.0))
    ]
    poor, good = (part(PartName.PRIVACY, value).model_copy(update={"metrics": tuple(metrics)}) for value in (0.6, 1.0))
    told = findings(None, [poor])[0].text
    assert "What decides is Membership AUC, 0.7 (real rows: 0.5). What membership_auc is." in told
    assert "closer_to_training" not in told
    assert "Membership AUC" not in findings(None, [good])[1].text


def test_verdicts_are_relative_to_the_ceiling() -> None:
    """The same score is good where real rows reach little more, and poor where they reach much more."""
    verdicts = [
        findings(None, [part(name, 0.8, ceiling)])[1].verdict
        for name in (PartName.STATISTICAL_SIMILARITY, PartName.CORRELATION_PRESERVATION)
        for ceiling in (0.82, 0.9, 0.99, None)
    ]
    assert verdicts == ["good", "fair", "poor", "poor", "good", "fair", "fair", "unknown"]


def test_without_rows_never_seen() -> None:
    """Where nobody knows what real rows reach, a high score is good and a low one says nothing, but of privacy."""
    found = findings(Figure(value=0.6), [part(PartName.CORRELATION_PRESERVATION, 0.4, None), *GOOD[2:]])
    assert [each.verdict for each in found] == ["unknown", "unknown", "good", "good"]
    assert "nobody can tell" in found[1].text
    assert findings(Figure(value=0.97), GOOD)[0].verdict == "good"
    assert findings(Figure(value=0.97), [part(PartName.PRIVACY, 0.4, None)])[0].verdict == "poor"


def test_where_real_rows_reach_nothing() -> None:
    """Nothing is said of columns that hang together where real rows are too few to show it."""
    for value, ceiling in ((0.0, 0.0), (0.05, 0.03)):
        found = findings(Figure(value=0.9), [part(PartName.CORRELATION_PRESERVATION, value, ceiling)])[1]
        assert found.verdict == "unknown"
        assert "too few to tell" in found.text
        assert f"real rows reach {ceiling:.2f}" in found.text


def test_a_leak_is_told_in_any_case() -> None:
    """Poor privacy is poor where chance alone could look nearly as bad."""
    found = findings(Figure(value=0.9), [part(PartName.PRIVACY, 0.01, 0.02)])
    assert [(each.part, each.verdict) for each in found] == [("privacy", "poor"), ("quality_score", "poor")]


def test_blunt_attacks() -> None:
    """Where attacks found nothing, but so few rows were there that they could have missed much, that is told."""
    told = [
        findings(None, [Part(name=PartName.PRIVACY, score=Figure(value=0.96, low=low, high=1.0, ceiling=0.98))])[1]
        for low in (0.7, 0.9)
    ]
    assert [each.verdict for each in told] == ["good", "good"]
    assert "down to 0.70, which would be poor" in told[0].text
    assert "poor" not in told[1].text


def test_unmeasured() -> None:
    """What couldn't be measured is said to be unknown, with the reason, and privacy is missed in the whole."""
    found = findings(Figure(value=0.97), [*GOOD[:2], part(PartName.ML_EFFICACY, None), part(PartName.PRIVACY, None)])
    assert [each.verdict for each in found] == ["good", "good", "good", "unknown", "unknown"]
    assert found[0].text.endswith(
        "Usefulness for machine learning and privacy couldn't be measured: the score says nothing of them."
    )
    assert "In what could be measured" in found[0].text
    assert "real rows would be" not in found[0].text, "nobody knows what real rows would reach"
    assert found[3].text == "Not measured. There is no target."
    assert findings(None, [part(PartName.PRIVACY, None)])[0].verdict == "unknown"


def test_furthest_columns_are_named() -> None:
    """Columns and pairs far below their ceilings are named, three at most, the worst first."""
    metric = Metric(
        name="ks_complement",
        figure=Figure(value=0.8),
        description="",
        details=tuple(
            Detail(columns=(name,), figure=Figure(value=value, ceiling=0.97))
            for name, value in {"a": 0.96, "b": 0.5, "c": 0.8, "d": 0.2, "e": 0.7}.items()
        ),
    )
    told = part(PartName.STATISTICAL_SIMILARITY, 0.8).model_copy(update={"metrics": (metric,)})
    assert findings(None, [told])[1].text.endswith("Furthest off: 'd'; 'b'; 'e'.")
