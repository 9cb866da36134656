#!/usr/bin/env python3
"""Writes tests/golden/statistics.json: paired comparisons by scipy and statsmodels.

    pip install scipy==1.17.1 statsmodels==0.15.0
    python tests/reference/statistics.py
"""
import json
import pathlib

import numpy as np
import scipy.stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "statistics.json"


def pairs_needed(difference, deviation, most=1000):
    """The fewest pairs with a power of 0.8 at 0.05, by trying them."""
    effect = abs(difference) / deviation
    for n in range(2, most + 1):
        if power(n, effect) >= 0.8:
            return n
    return None


def power(n, effect, level=0.05):
    return float(TTestPower().power(effect, n, level, alternative="two-sided"))


def comparison(control, arm):
    control, arm = np.array(control), np.array(arm)
    test = scipy.stats.ttest_rel(arm, control)
    interval = test.confidence_interval(0.95)
    differences = arm - control
    flips = scipy.stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    deviation = float(differences.std(ddof=1))
    seed_deviation = float(np.sqrt((control.var(ddof=1) + arm.var(ddof=1)) / 2))
    return {
        "control": control.tolist(), "arm": arm.tolist(), "difference": float(differences.mean()),
        "deviation": deviation, "lower": float(interval.low), "upper": float(interval.high),
        "p_value": float(test.pvalue), "sign_flip_p": float(flips.pvalue), "seed_deviation": seed_deviation,
        "effect": float(differences.mean() / seed_deviation),
        "pairs_needed": pairs_needed(differences.mean(), deviation),
    }


def main():
    random = np.random.default_rng(7)
    cases = [comparison([1.0, 2.0], [1.5, 2.75]), comparison([3.0, 1.0, 2.0], [3.5, 1.25, 1.75])]
    for n, shift in [(3, 0.3), (5, 0.0), (5, 1.0), (5, 5.0), (5, 0.05), (8, -0.7), (12, 0.4), (20, 0.2)]:
        common = random.normal(size=n)
        cases.append(comparison(1.9 + common + 0.5 * random.normal(size=n), 1.9 + common + 0.5 * random.normal(size=n) + shift))
    p_values = [[0.04], [0.01, 0.04], [0.04, 0.01, 0.03, 0.03], [0.5, 0.9, 0.001, 0.02, 0.02, 1.0, 0.0]]
    holm = [{"p_values": p, "corrected": multipletests(p, method="holm")[1].tolist()} for p in p_values]
    powers = [{"pairs": n, "difference": d, "deviation": s, "level": level, "power": power(n, d / s, level)}
              for n, d, s, level in [(2, 1.0, 1.0, 0.05), (5, 1.0, 1.0, 0.05), (5, 3.0, 1.4, 0.05), (5, 0.1, 2.0, 0.01),
                                     (30, 0.5, 1.0, 0.05), (200, 0.2, 1.0, 0.05), (1000, 0.09, 1.0, 0.05)]]
    GOLDEN.write_text(json.dumps({"comparisons": cases, "holm": holm, "power": powers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
