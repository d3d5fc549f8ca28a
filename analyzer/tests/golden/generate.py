"""Figures that Kinetic's statistics are held against, worked out by numpy, scipy and exact fractions.

Run in this folder with numpy 2 and scipy 1 (pip install numpy scipy): python3 generate.py

Each line of a file is: case, quantity, numbers. Numbers are written so that they are read back to the last bit. Nothing here
follows the way in which the analyzer computes: sums and squares are exact fractions or written-out weights, quantiles are
numpy's of sorted samples, tails are scipy's.
"""

import math
from fractions import Fraction

import numpy as np
from scipy import stats

RANDOM = np.random.default_rng(20261121)
MAD_SCALE = 1.0 / stats.norm.ppf(0.75)


def write(name, rows):
    with open(name, "w", encoding="ascii") as file:
        file.write("# Made by generate.py. Do not edit.\n")
        for case, quantity, numbers in rows:
            numbers = ",".join(repr(float(n)) for n in np.atleast_1d(numbers))
            file.write(f"{case},{quantity},{numbers}\n")


def digits(values):
    """Six significant digits keep the files small."""
    return np.array([float(f"{v:.6g}") for v in values])


def exact_moments(values, weights=None):
    """Count, sum, mean and standard deviation (n - 1) by exact fractions."""
    weights = [1.0] * len(values) if weights is None else weights
    x = [Fraction(float(v)) for v in values]
    w = [Fraction(float(v)) for v in weights]
    count = sum(w)
    total = sum(a * b for a, b in zip(w, x))
    mean = total / count
    squares = sum(a * (b - mean) ** 2 for a, b in zip(w, x))
    deviation = math.sqrt(squares / (count - 1)) if count > 1 else math.nan
    return float(count), float(total), float(mean), deviation


def samples(count):
    """Samples as hosts send them, and as they must not break anything."""
    normal = RANDOM.normal(120.0, 20.0, count)
    low, high = RANDOM.normal(20.0, 2.0, count), RANDOM.normal(900.0, 50.0, count)
    return {
        "normal": digits(normal),
        "lognormal": digits(RANDOM.lognormal(3.0, 1.5, count)),
        "bimodal": digits(np.where(RANDOM.random(count) < 0.7, low, high)),
        "heavy-tailed": digits(RANDOM.standard_t(2, count) * 20.0 + 120.0),
        "cauchy": digits(RANDOM.standard_cauchy(count)),
        "constant": np.full(count, 0.1),
        "negative": digits(-RANDOM.lognormal(3.0, 1.0, count)),
        "mixed-sign": digits(RANDOM.normal(0.0, 5.0, count)),
    }


def hard_cases():
    """What sums of squares fail at."""
    return {
        "one-sample": np.array([42.0]),
        "two-samples": np.array([1.25, 7.5]),
        "three-samples": np.array([0.1, 0.2, 0.4]),
        "huge-outlier": np.concatenate([np.ones(100), [1e12], digits(RANDOM.normal(1.0, 0.1, 99))]),
        "outlier-first": np.concatenate([[1e12], digits(RANDOM.normal(1.0, 0.1, 50))]),
        "around-1e9": 1e9 + RANDOM.integers(0, 1000, 300) / 64.0,
        "around-1e15": 1e15 + RANDOM.integers(0, 4, 300).astype(float),
        "zeros": np.zeros(20),
    }


def windows():
    for case, x in (samples(150) | hard_cases()).items():
        yield case, "values", x
        count, total, mean, deviation = exact_moments(x)
        if len(x) > 1 and mean != 0 and deviation > 1e-3 * abs(mean):
            assert np.isclose(np.std(x, ddof=1), deviation, rtol=1e-9)
            assert np.isclose(np.mean(x), mean, rtol=1e-9)
        yield from figures(case, x, count, total, mean, deviation)
    # Sampling rates of 1, 1/2, 1/4 and 1/10: a sample stands for so many.
    for case, x in samples(100).items():
        weights = RANDOM.choice([1.0, 2.0, 4.0, 10.0], len(x))
        case = f"sampled-{case}"
        yield case, "values", x
        yield case, "weights", weights
        count, total, mean, deviation = exact_moments(x, weights)
        numpy = math.sqrt(np.cov(x, fweights=weights.astype(int), ddof=1))
        assert np.isclose(numpy, deviation, rtol=1e-9, atol=1e-12), case
        yield from figures(case, x, count, total, mean, deviation)


def figures(case, x, count, total, mean, deviation):
    yield case, "count", count
    yield case, "sum", total
    yield case, "mean", mean
    yield case, "min", np.min(x)
    yield case, "max", np.max(x)
    yield case, "last", x[-1]
    if not math.isnan(deviation):
        yield case, "stddev", deviation


def quantiles():
    """numpy's method "lower": the sample of rank floor(q (n - 1)). With weights: of each sample repeated so often."""
    shares = [0.5, 0.9, 0.95, 0.99]
    for case, x in (samples(1000) | {"two": np.array([1.0, 100.0]), "three": np.array([-3.0, 0.0, 8.0])}).items():
        yield case, "values", x
        yield case, "quantiles", np.quantile(x, shares, method="lower")
    for case, x in samples(200).items():
        weights = RANDOM.choice([1.0, 2.0, 4.0, 10.0], len(x))
        yield f"sampled-{case}", "values", x
        yield f"sampled-{case}", "weights", weights
        yield f"sampled-{case}", "quantiles", np.quantile(np.repeat(x, weights.astype(int)), shares, method="lower")


def groups():
    sizes = {f"normal-{n}": digits(RANDOM.normal(120.0, 4.0, n)) for n in [3, 4, 5, 10, 50, 200]}
    return sizes | {
        "identical-3": np.full(3, 7.0),
        "identical-10": np.full(10, 0.1),
        "one-differs": np.array([7.0, 7.0, 7.0, 9.0]),
        "huge-outlier": np.concatenate([digits(RANDOM.normal(1.0, 0.1, 9)), [1e12]]),
        "two-huge": np.array([1.0, 1.5, 1e12, 0.5, 2.0, -1e12, 1.25]),
        "around-1e9": 1e9 + RANDOM.integers(0, 64, 12) / 16.0,
        "around-1e15": 1e15 + RANDOM.integers(0, 9, 12).astype(float),
        "heavy-tailed": digits(RANDOM.standard_t(2, 30)),
    }


def leave_one_out():
    for case, x in groups().items():
        means, deviations, medians, mads, normal = [], [], [], [], []
        for n in range(len(x)):
            others = np.delete(x, n)
            _, _, mean, deviation = exact_moments(others)
            means.append(mean)
            deviations.append(deviation)
            medians.append(np.median(others))
            mads.append(MAD_SCALE * stats.median_abs_deviation(others))
            if deviation > 0:
                count = len(others)
                t = float((Fraction(float(x[n])) - Fraction(mean))) / (deviation * math.sqrt(1.0 + 1.0 / count))
                z = stats.norm.isf(stats.t.sf(abs(t), count - 1))
                normal.append(math.copysign(z, t) if math.isfinite(z) else math.nan)
            else:
                normal.append(math.nan)
        yield case, "values", x
        yield case, "mean", means
        yield case, "stddev", deviations
        yield case, "median", medians
        yield case, "mad", mads
        # The deviation of a normal distribution; nan where the others do not vary or the tail is beyond what scipy can tell.
        yield case, "normal", normal


def tails():
    """Student's t as the normal's deviation of the same tail."""
    for degrees in [1, 2, 3, 5, 8, 20, 48, 198, 1000]:
        t = np.array([0.01, 0.3, 1.0, 1.9, 2.0, 2.5, 4.0, 6.0, 10.0, 30.0])
        z = stats.norm.isf(stats.t.sf(t, degrees))
        # Where the tail is about one half isf has lost digits: by the middle instead.
        near = t < 1.0
        z[near] = stats.norm.ppf(0.5 + 0.5 * stats.f.cdf(t[near] ** 2, 1, degrees))
        kept = np.isfinite(z)
        yield f"t-{degrees}", "degrees", degrees
        yield f"t-{degrees}", "t", t[kept]
        yield f"t-{degrees}", "normal", z[kept]


def pseudo_random(count):
    """Knuth's MMIX generator; its upper 24 bits as a number from 0 to 1: the tests make the same."""
    state, out = 1, np.empty(count)
    for n in range(count):
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        out[n] = (state >> 40) / 2**24
    return out


def fading():
    """Weights written out: exp(-age / baseline) for each window of the past, gaps included."""
    count = 100_000
    raw = pseudo_random(count)
    # Every 1,000th window a gap of 50.
    numbers = np.arange(count) + 50 * (np.arange(count) // 1000)
    cases = {
        "noise": (0.0, 100.0 + 10.0 * raw),
        "around-1e9": (1e9, np.floor(raw * 64.0)),
        "around-1e15": (1e15, np.floor(raw * 8.0)),
        "spikes": (0.0, np.where(raw > 0.999, 1e6, 100.0 + raw)),
    }
    for case, (level, offsets) in cases.items():
        for baseline in [30.0, 360.0, 8640.0]:
            name = f"{case}-{baseline:.0f}"
            for checkpoint in [2, 3, 10, 100, 1_000, 10_000, 31_416, 100_000]:
                age = numbers[checkpoint - 1] - numbers[:checkpoint]
                kept = age < 60 * baseline
                weights = np.exp(-age[kept] / baseline)
                x = offsets[:checkpoint][kept]
                total, squared = math.fsum(weights), math.fsum(weights**2)
                mean = math.fsum(weights * x) / total
                squares = math.fsum(weights * (x - mean) ** 2)
                spread = math.sqrt(squares / (total - squared / total))
                # The mean as its distance from the level, which has more digits there.
                yield name, f"at-{checkpoint}", [baseline, level, mean, spread, total**2 / squared]


if __name__ == "__main__":
    write("windows.csv", windows())
    write("quantiles.csv", quantiles())
    write("leave_one_out.csv", leave_one_out())
    write("tails.csv", tails())
    write("fading.csv", fading())
