"""Every goal as a bar, with its limit: `python -m benchmarks.chart RESULTS.json CHART.svg`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_REACHED, _MISSED, _LIMIT = "#2b7bba", "#d1783c", "#222222"
_WIDEST = 4.0
"""A bar that is longer is cut off, so that the others can be told apart; its number tells."""


def draw(results: Path, chart: Path) -> None:
    """Draw the goals of a JSON file that `report` wrote."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures make the same file.
    mpl.rcParams.update({"svg.hashsalt": "cloudsync", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    goals = _goals(json.loads(results.read_text()))
    height = 1.1 + 0.33 * len(goals)
    figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
    # A benchmark without a peer has no goal, and leaves the chart empty where it runs alone.
    widest = min(max((max(goal["ratio"], goal["at_most"]) for goal in goals), default=1.0), _WIDEST)
    rows = range(len(goals))
    axes.barh(rows, [goal["ratio"] for goal in goals], color=[_REACHED if g["reached"] else _MISSED for g in goals])
    for row, goal in zip(rows, goals, strict=True):
        axes.plot([goal["at_most"]] * 2, [row - 0.45, row + 0.45], color=_LIMIT, linewidth=2)
        end = min(max(goal["ratio"], goal["at_most"]), widest)
        axes.text(end + 0.02 * widest, row, f"{goal['ratio']:.2f}", va="center")
    axes.axvline(1.0, color="#888888", linewidth=0.8, linestyle=":")
    axes.set_yticks(list(rows), [goal["says"] for goal in goals])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1 * widest)
    axes.set_xlabel("ours / peer, medians of one run (less is better); the black line is the goal")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(chart, metadata={"Date": None})
    plt.close(figure)


def _goals(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [goal for benchmark in results.values() for task in benchmark["tasks"] for goal in task["goals"]]


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
