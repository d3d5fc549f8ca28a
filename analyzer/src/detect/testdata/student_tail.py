"""Makes student_tail.csv (python3 student_tail.py > student_tail.csv): Student-t deviations and the normal's deviations of the
same tail probability, with 60 digits, since scipy's own functions underflow beyond 38 standard deviations. Where
scipy.stats.norm.isf(scipy.stats.t.sf(t, df)) is finite and t is not tiny, it agrees to 1e-9."""

from mpmath import beta, erfc, hyp2f1, log, mp, mpf, sqrt

mp.dps = 60


def ln_student_tail(t, df):
    x, a, b = df / (df + t * t), df / 2, mpf(1) / 2
    return a * log(x) + b * log(1 - x) - log(2 * a * beta(a, b)) + log(hyp2f1(a + b, 1, a + 1, x))


def normal_deviation(t, df):
    target = ln_student_tail(t, df)
    low, high = mpf(0), max(t, sqrt(-2 * target)) + 1
    for _ in range(230):
        middle = (low + high) / 2
        if log(erfc(middle / sqrt(2)) / 2) > target:
            low = middle
        else:
            high = middle
    return middle


print("df,t,z")
for df in ["1", "2", "3", "6.5", "10", "48", "400", "10000"]:
    for t in ["1e-9", "0.01", "0.5", "1", "2", "3.7", "5", "9", "17.3", "50", "1000", "1e6", "1e12"]:
        print(f"{df},{t},{mp.nstr(normal_deviation(mpf(t), mpf(df)), 17)}")
