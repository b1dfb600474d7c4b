"""Turn the records of the index into bench/INDEX.md and plots.

python -m bench.index_report
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
from bench.measure import HERE, RECORDS

PLOTS = HERE / "plots"
WIDTH_NAMES = {1: "64 bits", 4: "PDQ, 256 bits"}


def main() -> None:
    """Write the page and the plots."""
    PLOTS.mkdir(exist_ok=True)
    page = list(header())
    for path in sorted(RECORDS.glob("peers-*.json")):
        page += peers_table(json.loads(path.read_text()))
    worst = RECORDS / "worst.json"
    if worst.exists():
        page += worst_table(json.loads(worst.read_text()))
    scaling = RECORDS / "scaling.json"
    if scaling.exists():
        page += scaling_tables(json.loads(scaling.read_text()))
    (HERE / "INDEX.md").write_text("\n".join(page) + "\n")


def header() -> Iterator[str]:
    """Say what all tables have in common."""
    yield "# The index, measured"
    yield ""
    yield "Made by `make bench-index` from `records/`. One thread; times are medians per query of a batch, half of"
    yield "whose queries are planted at exactly the radius. All peers of a table ran in one process, in turn. Compare"
    yield "within a table, not across tables: the machine is shared. *Missed* counts the matches of 64 queries at most"
    yield "that NumPy finds and the peer does not."


def peers_table(record: dict[str, Any]) -> Iterator[str]:
    """Show one comparison, fastest first."""
    times = record["us_per_query"]
    machine = record["machine"]
    yield ""
    yield f"## {record['work']}"
    yield ""
    yield f"{machine['cpu']} (family {machine['family']}, {', '.join(machine['simd'])}), seed {record['seed']}."
    yield f"NearHash: {record['path']}, thresholds {tuple(record['thresholds'])}, {record['probes']:.0f} probes and"
    yield f"{record['candidates']:.0f} entries per query, {sum(record['bytes_per_hash'].values()):.0f} bytes per hash."
    yield ""
    yield "| | us per query | NearHash is faster by | missed |"
    yield "| --- | ---: | ---: | ---: |"
    for name, time_us in sorted(times.items(), key=lambda item: item[1]):
        missed = record["missed"].get(name, "")
        yield f"| {name} | {time_us:.2f} | {time_us / times['NearHash']:.1f} | {missed} |"


def worst_table(record: dict[str, Any]) -> Iterator[str]:
    """Show what misleading lists cost, beside brute force."""
    yield ""
    yield "## Lists made to mislead"
    yield ""
    yield "The worst radius and kind of query of each list: the share of the time of brute force that the index takes."
    yield ""
    yield "| list | width | codes | radius | queries | share of brute force |"
    yield "| --- | --- | ---: | ---: | --- | ---: |"
    for row in record["worst"]:
        yield (
            f"| {row['list']} | {WIDTH_NAMES[row['words']]} | {row['n']:.0e} | {row['radius']} | {row['queries']} | "
            f"{row['share']:.2f} |"
        )


def scaling_tables(record: dict[str, Any]) -> Iterator[str]:
    """Show how time grows with codes and radius, beside the floor."""
    for key, against in (("by_n", "n"), ("by_radius", "radius")):
        yield ""
        yield f"## Time against {'the number of codes' if against == 'n' else 'the radius'}"
        yield ""
        yield f"![](plots/{key}.png)"
        yield ""
        yield "| width | codes | radius | us | floor, us | bands | probes | entries | B/hash | build, s |"
        yield "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |"
        for row in record[key]:
            floor = f"{row['floor_us']:.2f}" if "floor_us" in row else ""
            bands = f"{len(row['bits'])}x{row['bits'][0]}" if row["path"] == "tables" else "brute force"
            built = f"{row['built_s']:.1f}" if "built_s" in row else ""
            yield (
                f"| {WIDTH_NAMES[row['words']]} | {row['n']:.0e} | {row['radius']} | {row['us']:.2f} | {floor} | "
                f"{bands} | {row['probes']:.0f} | {row['candidates']:.0f} | {row['bytes_per_hash']:.0f} | {built} |"
            )
        plot(record[key], key, against)


def plot(rows: list[dict[str, Any]], key: str, against: str) -> None:
    """Draw time and floor against n or radius."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for words, colour in ((1, "tab:blue"), (4, "tab:red")):
        of_width = [row for row in rows if row["words"] == words]
        x = [row[against] for row in of_width]
        axes.plot(x, [row["us"] for row in of_width], "o-", color=colour, label=WIDTH_NAMES[words])
        floors = [(row[against], row["floor_us"]) for row in of_width if "floor_us" in row]
        if floors:
            axes.plot(*zip(*floors, strict=True), ":", color=colour, label=f"{WIDTH_NAMES[words]}: random reads alone")
    axes.set(xlabel="codes" if against == "n" else "radius", ylabel="microseconds per query", yscale="log")
    if against == "n":
        axes.set_xscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(PLOTS / f"{key}.png", dpi=110)


if __name__ == "__main__":
    main()
