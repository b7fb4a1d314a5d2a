"""What attentions cost → a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from attnzoo.report.table import Table, si


def overheads(rows: Sequence[Mapping[str, Any]], left_out: Mapping[str, str]) -> Table:
    """A line for the host and one for each attention, with what it adds; and below, what has none and why."""
    first, *others = rows
    header = ("attention", "parameters added", "MACs added", "latency", "p10–p90", "ms", "FPS")
    lines = [
        (
            row["name"],
            f"{row['params'] - first['params']:,}",
            si(row["macs"] - first["macs"]),
            f"{row['relative']['latency']['median']:.3f}×",
            f"{row['relative']['latency']['p10']:.3f}–{row['relative']['latency']['p90']:.3f}",
            f"{row['latency_ms']['median']:.2f}",
            f"{row['fps']:.1f}",
        )
        for row in others
    ]
    own = (f"{first['latency_ms']['median']:.2f}", f"{first['fps']:.1f}")
    host = (first["name"], f"({first['params']:,})", f"({si(first['macs'])})", "1.000×", "", *own)
    machine = first["machine"]
    where = machine.get("gpu") or f"{machine['processor']}, {machine['threads']} threads"
    size = "×".join(map(str, first["method"]["inputs"][0]))
    unsettled = [row["name"] for row in rows if not row["method"]["settled"]]
    notes = [
        f"one image, {size}, on {first['device']} ({where}); in brackets: the host's own",
        f"with {first['classes']} outputs",
        f"latency: median of paired ratios to {first['name']}, each attention timed in turns with it, sorted by it",
        f"ms and FPS: {first['name']}'s ms, timed alone, times the ratio",
        *([f"timings had not settled: {', '.join(unsettled)}"] if unsettled else []),
        *(f"left out `{name}`: {reason}" for name, reason in left_out.items()),
    ]
    return Table(header, (host, *lines), "What each attention adds to the host", tuple(notes))
