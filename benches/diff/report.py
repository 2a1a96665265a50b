"""The figures as Markdown. Medians of wall seconds, the highest peak of memory."""

import statistics

from engines import COMPARE, DECODE, DUCKDB, DUCKDB_SNAPSHOT, POLARS, RUN

RATIOS = [(COMPARE, DECODE), (DUCKDB, COMPARE), (POLARS, COMPARE), (RUN, DUCKDB_SNAPSHOT)]


def median(runs):
    return statistics.median(r.wall for r in runs)


def figures_head():
    print("\n| rows | format | order | | wall | without start | peak memory |\n|---|---|---|---|---|---|---|")


def figures(case, measured):
    """The lines of one case: {label: [Measured]}. `without start` is what the process itself timed, if it did."""
    rows, ext, order = case
    for label, runs in measured.items():
        inner = [r.printed["seconds"] for r in runs if "seconds" in r.printed]
        inner = f"{statistics.median(inner):.2f} s" if inner else ""
        peak = max(r.megabytes for r in runs)
        print(f"| {rows:,} | {ext} | {order} | {label} | {median(runs):.2f} s | {inner} | {peak:,.0f} MB |", flush=True)


def ratios(cases):
    print("\n| rows | format | order | " + " | ".join(f"{a} / {b}" for a, b in RATIOS) + " |\n|" + "---|" * 7)
    for (rows, ext, order), measured in cases.items():
        if order:
            values = [quotient(measured, a, b) for a, b in RATIOS]
            print(f"| {rows:,} | {ext} | {order} | " + " | ".join(values) + " |")


def quotient(measured, above, below):
    if above not in measured or below not in measured:
        return "–"
    return f"{median(measured[above]) / median(measured[below]):.2f}"


def growth(cases):
    """How much longer more rows take; linear is the ratio of the rows."""
    counts = sorted({rows for rows, _, _ in cases})
    steps = list(zip(counts, counts[1:]))
    if not steps:
        return
    titles = " | ".join(f"{a:,} → {b:,} rows (×{b / a:g})" for a, b in steps)
    print(f"\n| growth of wall | format | order | {titles} |\n|" + "---|" * (3 + len(steps)))
    for _, ext, order in [case for case in cases if case[0] == counts[0]]:
        for label in cases[counts[0], ext, order]:
            by_rows = {n: cases.get((n, ext, order), {}).get(label) for n in counts}
            step = [f"×{median(by_rows[b]) / median(by_rows[a]):.1f}" if by_rows[b] else "–" for a, b in steps]
            print(f"| {label} | {ext} | {order} | {' | '.join(step)} |")
