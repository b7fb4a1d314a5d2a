"""The tables of `attnzoo bench`."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def print_rows(rows: Sequence[Row]) -> None:
    """Two tables, inference and training, and below them what no counter saw."""
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from attnzoo.report import si

    first, related = rows[0], _related(rows)

    def table(title: str, *columns: str) -> Table:
        made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        made.add_column("", no_wrap=True)
        for column in columns:
            made.add_column(column, justify="right", no_wrap=True)
        return made

    def times(ratio: float | None) -> str:
        return f" ({ratio:.3f}×)" if related and ratio is not None else ""

    inference = table(
        f"one image on {_where(first)}", "parameters", "MACs", "FLOPs", "ms: median", "p10-p90", "FPS", "peak memory"
    )
    batched = table(
        f"batches of {first['throughput']['batch']}", "images/s", "training step ms", "p10-p90", "training memory"
    )
    for row in rows:
        latency, training = row["latency_ms"], row["training"]
        relative = row["relative"] or {"params": None, "macs": None, "latency": {"median": None}}
        inference.add_row(
            row["name"],
            f"{row['params']:,}{times(relative['params'])}",
            f"{si(row['macs'])}{times(relative['macs'])}",
            si(row["flops"]),
            f"{latency['median']:.2f}{times(relative['latency']['median'])}",
            f"{latency['p10']:.2f}-{latency['p90']:.2f}",
            f"{row['fps']:.1f}",
            f"{si(row['peak_memory_bytes'])}B",
        )
        cells = [row["name"], f"{row['throughput']['images_per_second']:.1f}"]
        if training is not None:
            step = training["step_ms"]
            cells += [
                f"{step['median']:.2f}{times(training['relative']['median'])}",
                f"{step['p10']:.2f}-{step['p90']:.2f}",
                f"{si(training['peak_memory_bytes'])}B",
            ]
        batched.add_row(*cells)
    # a pipe has no width, and a table that is cut is no data
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(inference, batched)
    for line in _notes(rows):
        console.print(line, markup=False, soft_wrap=True)


def _notes(rows: Sequence[Row]) -> list[str]:
    """Claims, outputs, uncounted operators, and what may make a number worth less."""
    lines = [
        f"{row['name']}: {row['claim']:,} parameters claimed, {row['params']:,} counted"
        for row in rows
        if row["claim"] is not None
    ]
    outputs = [row["classes"] for row in rows]
    if len(set(outputs)) > 1:
        lines += [f"{row['name']}: with {row['classes']} outputs" for row in rows]
    elif outputs[0] is not None:
        lines.append(f"with {outputs[0]} outputs")
    if _related(rows):
        lines.append(f"×: relative to {rows[0]['name']}; latencies as the median of paired ratios, timed in turns")
    for row in rows:
        unseen = ", ".join(f"{name} {count}" for name, count in row["uncounted"].items()) or "nothing"
        lines.append(f"uncounted in {row['name']}: {unseen}")
        if not row["counters_agree"]:
            lines.append(f"{row['name']}: torch counts {row['torch_flops']:,} FLOPs of products, fvcore another number")
        if not row["method"]["settled"]:
            lines.append(f"{row['name']}: timings had not settled after {row['method']['warmup']} calls")
    return lines


def _related(rows: Sequence[Row]) -> bool:
    return len(rows) > 1 and rows[0]["relative"] is not None


def _where(row: Row) -> str:
    machine = row["machine"]
    name = machine.get("gpu") or f"{machine['processor']}, {machine['threads']} threads"
    return f"{row['device']} ({name}), {row['method']['iterations']} iterations"
