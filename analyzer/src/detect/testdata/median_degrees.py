"""How often noise exceeds the lines of `center: Median` (leave_one_out.rs, degrees_of_freedom), as a multiple of how often a normal
value does: python3 median_degrees.py. The candidate is integrated out, so that rare tails need few draws."""

import numpy as np
from scipy import stats

DRAWS = 40_000_000  # values in all, a group size; two million groups at most
random = np.random.default_rng(7)


def degrees(others):
    few = [0.95, 1.83, 2.67, 3.52, 4.28, 5.03]
    half = others // 2
    return few[half - 1] if half <= len(few) else 0.7 + 0.716 * half


def middle(ordered):
    count = ordered.shape[1]
    return (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2


print("others,groups,degrees,at3,at4,at5")
for others in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 29, 30, 49, 50, 99, 100, 200]:
    groups = min(2_000_000, DRAWS // others)
    values = np.sort(random.standard_normal((groups, others)), axis=1)
    centre = middle(values)
    spread = 1.482602218505602 * middle(np.sort(np.abs(values - centre[:, None]), axis=1))
    ratios = []
    for z in (3, 4, 5):
        wanted = 2 * stats.norm.sf(z)
        reach = stats.t.isf(wanted / 2, degrees(others)) * np.sqrt(1 + 1 / others) * spread
        ratios.append(np.mean(stats.norm.sf(reach + centre) + stats.norm.sf(reach - centre)) / wanted)
    print(f"{others},{groups},{degrees(others):.2f}," + ",".join(f"{r:.2f}" for r in ratios), flush=True)
