"""Results → rows: the ablation's table, one model's table, and rows for CSV."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attnzoo.report.table import Cell, Table, mean, number, si
from attnzoo.results import Result

SCORES = ("dice", "iou", "precision", "recall")
DISTANCES = ("hd95", "nsd")


def ablation(
    results: Sequence[Result],
    costs: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str] = (),
    baseline: str = "none",
) -> Table:
    """The table of an ablation: a row per arm in the order of the results, averaged over the seeds.

    `costs` has by arm the rows of `attnzoo.measure.compare`. Δ is paired: the mean over seeds of (arm − baseline) at
    the same seed. `notes` come below the table's own.
    """
    arms = _by_arm(results)
    seeds = sorted({result.seed for result in results})
    spread = f" ± sd (n = {len(seeds)})" if len(seeds) > 1 else ""
    delta = (f"Δ to {baseline}",) if baseline in arms else ()
    header = ("attention", f"Dice{spread}", *delta, "IoU", "precision", "recall", "parameters", "MACs", "FPS")
    rows = []
    for arm, runs in arms.items():
        scores = {name: [macro(run)[name] for run in runs] for name in SCORES}
        cells = [arm, mean(scores["dice"])]
        if delta:
            cells.append("" if arm == baseline else mean(_paired(runs, arms[baseline]), signed=True))
        cells += [mean(scores[name], spread=False) for name in SCORES[1:]]
        cost = costs.get(arm, {})
        cells += [f"{runs[0].parameters:,}", si(cost.get("macs")), number(cost.get("fps"), 1)]
        rows.append(tuple(cells))
    remarks = (*_averaged(results), _seeds(seeds), *_timed(costs), *notes)
    return Table(header, tuple(rows), "Test set, global macro over the foreground classes", remarks)


def evaluation(summary: Mapping[str, Any], split: str) -> Table:
    """The table of one model on one split: a row per class, and the means below."""
    edges: Mapping[str, Any] = summary.get("boundaries", {})
    rows = [
        (name, *(mean([scores[metric]]) for metric in SCORES), *_distances(edges, edges.get("per_class", {}).get(name)))
        for name, scores in summary["per_class"].items()
    ]
    for words, key, distances in (
        ("macro, foreground", "global_macro", edges),
        ("macro, with background", "global_macro_with_background", None),
    ):
        rows.append((words, *(mean([summary[key][metric]]) for metric in SCORES), *_distances(edges, distances)))
    headline = summary["global_macro"]
    notes: tuple[str, ...] = (
        f"macro over {headline['averaged']} of {headline['of']} classes; {summary['images']} images of {split}, "
        f"scored at {summary['resolution']} resolution; absent classes: {summary['absent']}",
    )
    if absent := summary["false_positive_pixels_on_absent"]:
        told = ", ".join(f"{name} {pixels:,}" for name, pixels in absent.items())
        notes += (f"not in the ground truth, and predicted on so many pixels: {told}",)
    header: tuple[str, ...] = ("class", "Dice", "IoU", "precision", "recall")
    if edges:
        header += ("HD95", "NSD")
        notes += (
            f"HD95 in pixels and NSD at {edges['tolerance']:g} pixels: means over images; {edges['empty']}",
            f"expected calibration error of all classes: {mean([summary['calibration']['ece']])}",
        )
    return Table(header, tuple(rows), f"Split {split}", notes)


def result_rows(results: Iterable[Result]) -> list[dict[str, Cell]]:
    """A row per arm and seed: the headline, its twin with background, the batch average, each class's Dice, and more.

    `hd95` is in pixels; what a run of an earlier attnzoo has not is undefined.
    """
    rows: list[dict[str, Cell]] = []
    for result in results:
        row: dict[str, Cell] = {"arm": result.attention, "seed": result.seed}
        row |= {name: macro(result)[name] for name in SCORES}
        row |= {"classes_averaged": macro(result)["averaged"], "classes": macro(result)["of"]}
        row |= {f"{name}_with_background": result.test["global_macro_with_background"][name] for name in SCORES}
        row |= {f"{name}_batch_average": result.test["batch_average"].get(name) for name in SCORES}
        row |= {f"dice[{name}]": scores["dice"] for name, scores in result.test["per_class"].items()}
        edges: Mapping[str, Any] = result.test.get("boundaries", {})
        row |= {name: edges.get(name) for name in DISTANCES}
        row["ece"] = result.test.get("calibration", {}).get("ece")
        row |= {f"{of}[{name}]": one[of] for of in DISTANCES for name, one in edges.get("per_class", {}).items()}
        row |= {"selected_by": result.selected_by, "best_score": result.best_score, "best_epoch": result.best_epoch}
        rows.append(row | {"parameters": result.parameters, "duration_s": round(result.duration_s, 3)})
    return rows


def macro(result: Result) -> Mapping[str, Any]:
    """The headline of a result: its test set's global foreground macro."""
    headline: Mapping[str, Any] = result.test["global_macro"]
    return headline


def _distances(edges: Mapping[str, Any], scores: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The cells of HD95 and NSD; none where a summary has no boundaries."""
    of = scores or dict.fromkeys(DISTANCES)
    return (mean([of["hd95"]], 2), mean([of["nsd"]])) if edges else ()


def _by_arm(results: Iterable[Result]) -> dict[str, list[Result]]:
    arms: dict[str, list[Result]] = {}
    for result in results:
        arms.setdefault(result.attention, []).append(result)
    return arms


def _paired(runs: Sequence[Result], baseline: Sequence[Result]) -> list[float | None]:
    at = {run.seed: macro(run)["dice"] for run in baseline}
    pairs = [(macro(run)["dice"], at[run.seed]) for run in runs if run.seed in at]
    return [None if ours is None or theirs is None else ours - theirs for ours, theirs in pairs]


def _averaged(results: Sequence[Result]) -> Iterable[str]:
    """How many classes the headline is a mean of, and which ones the test set lacks."""
    yield from dict.fromkeys(f"macro over {macro(one)['averaged']} of {macro(one)['of']} classes" for one in results)
    lacking = dict.fromkeys(name for one in results for name in one.test["false_positive_pixels_on_absent"])
    if lacking:
        yield f"not in the test set's ground truth: {', '.join(lacking)}; absent classes: {results[0].test['absent']}"
        extra = {arm: [_on_absent(run.test) for run in runs] for arm, runs in _by_arm(results).items()}
        told = ", ".join(f"{arm} {' '.join(f'{pixels:,}' for pixels in seeds)}" for arm, seeds in extra.items())
        yield f"pixels predicted as such, a number for each seed: {told}"


def _on_absent(summary: Mapping[str, Any]) -> int:
    """False-positive pixels on the classes that the ground truth lacks."""
    return sum(summary["false_positive_pixels_on_absent"].values())


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}; Δ is paired over them"


def _timed(costs: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for cost in list(costs.values())[:1]:
        where = cost["machine"].get("gpu") or cost["machine"].get("processor") or cost["device"]
        size = "×".join(map(str, cost["method"]["inputs"][0]))
        yield f"MACs and FPS (1 / median latency) of one image, {size}, on {cost['device']} ({where})"
