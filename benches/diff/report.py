"""The figures as Markdown. Medians of wall seconds, the highest peak of memory."""

import statistics

from engines import COMPARE, DECODE, DUCKDB, DUCKDB_SNAPSHOT, POLARS, RUN

RATIOS = [(COMPARE, DECODE), (DUCKDB, COMPARE), (POLARS, COMPARE), (RUN, DUCKDB_SNAPSHOT)]


def median(runs):
    return statistics.median(r.wall for r in runs)


def inner(runs):
    return statistics.median(r.printed["seconds"] for r in runs)


def figures_head():
    print("\n| rows | format | order | | wall | fastest | without start | CPU | peak memory |\n|" + "---|" * 9)


def figures(case, measured):
    """The lines of one case: {label: [Measured]}. `without start` is what the process itself timed, if it did."""
    for label, runs in measured.items():
        without_start = f"{inner(runs):.2f} s" if "seconds" in runs[0].printed else ""
        seconds = f"{median(runs):.2f} s | {min(r.wall for r in runs):.2f} s | {without_start}"
        used = f"{statistics.median(r.cpu for r in runs):.2f} s | {max(r.megabytes for r in runs):,.0f} MB"
        print(f"| {case[0]:,} | {case[1]} | {case[2]} | {label} | {seconds} | {used} |", flush=True)


def ratios(cases):
    print("\n| rows | format | order | " + " | ".join(f"{a} / {b}" for a, b in RATIOS) + " |\n|" + "---|" * 7)
    for (rows, ext, order), measured in cases.items():
        if order:
            values = [quotient(measured, a, b) for a, b in RATIOS]
            print(f"| {rows:,} | {ext} | {order} | " + " | ".join(values) + " |")


def quotient(measured, above, below):
    if above not in measured or below not in measured:
        return "–"
    value = f"{median(measured[above]) / median(measured[below]):.2f}"
    if above in (DUCKDB, POLARS):
        # In brackets without the interpreter's start, which weighs on few rows.
        value += f" ({inner(measured[above]) / median(measured[below]):.2f})"
    return value


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
