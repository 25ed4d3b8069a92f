"""Minimax fits behind the coefficients in math.h: `python cpp/simd/fit.py` prints them (needs mpmath).

Each polynomial p minimises max |w(x) * (f(x) - p(x))| on [a, b] by Remez exchange; w makes the error relative to the
final function. Coefficients are printed from the lowest degree up, rounded to float32.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40


def remez(f, w, a, b, degree, rounds=12, grid=1500):
    a, b = mp.mpf(a), mp.mpf(b)
    n = degree + 2
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    xs = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * i / grid) for i in range(grid + 1)]
    fs, ws = [f(x) for x in xs], [w(x) for x in xs]
    for _ in range(rounds):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / w(x)] for i, x in enumerate(points)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([f(x) for x in points]))
        c = [solution[j] for j in range(degree + 1)]
        errors = [wi * (fi - mp.polyval(c[::-1], x)) for x, fi, wi in zip(xs, fs, ws, strict=True)]
        best, picked = None, []
        for i, e in enumerate(errors):  # the largest error of every run of one sign
            if best is not None and (e > 0) != (errors[best] > 0):
                picked.append(best)
                best = i
            elif best is None or abs(e) > abs(errors[best]):
                best = i
        picked.append(best)
        while len(picked) > n:
            picked.pop(0 if abs(errors[picked[0]]) < abs(errors[picked[-1]]) else -1)
        if len(picked) < n:
            break
        points = [xs[i] for i in picked]
    return c, max(abs(e) for e in errors)


def one(_):
    return mp.mpf(1)


def tiny(x, value, otherwise):
    """`otherwise()` away from 0, the limit `value` at 0."""
    return mp.mpf(value) if abs(x) < mp.mpf(10) ** -10 else otherwise()


def erfcx_over_t(t):
    z = 2 / t - 2
    return mp.erfc(z) * mp.exp(z * z) / t


def atanh_tail(z):
    def value():
        s = mp.sqrt(z)
        return (mp.atanh(s) / s - 1) / z

    return tiny(z, mp.mpf(1) / 3, value)


half_ln2, quarter_pi = mp.mpf("0.35"), mp.pi / 4 * mp.mpf("1.005")
low, high = mp.sqrt(0.5) - 1 - mp.mpf("1e-4"), mp.sqrt(2) - 1 + mp.mpf("1e-4")
FITS = {
    "exp: (e^r - 1 - r) / r^2": (
        lambda r: tiny(r, 0.5, lambda: (mp.expm1(r) - r) / r**2),
        lambda r: r**2 + mp.mpf("0.005"),
        -half_ln2,
        half_ln2,
        4,
    ),
    "exp2: (2^r - 1) / r": (
        lambda r: tiny(r, mp.log(2), lambda: (2**r - 1) / r),
        lambda r: abs(r) + mp.mpf("0.02"),
        -0.501,
        0.501,
        5,
    ),
    "log: (log(1+f) - f + f^2/2) / f^3": (
        lambda f: tiny(f, mp.mpf(1) / 3, lambda: (mp.log1p(f) - f + f**2 / 2) / f**3),
        lambda f: f**2 + mp.mpf("0.003"),
        low,
        high,
        7,
    ),
    "sin: (sin r - r) / r^3 in r^2": (
        lambda z: tiny(z, -mp.mpf(1) / 6, lambda: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3),
        lambda z: z,
        0,
        quarter_pi**2,
        2,
    ),
    "cos: (cos r - 1 + r^2/2) / r^4 in r^2": (
        lambda z: tiny(z, mp.mpf(1) / 24, lambda: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2),
        lambda z: z**2,
        0,
        quarter_pi**2,
        2,
    ),
    "atan: (atan r - r) / r^3 in r^2": (
        lambda z: tiny(z, -mp.mpf(1) / 3, lambda: (mp.atan(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3),
        lambda z: z,
        0,
        mp.mpf("0.1716"),
        4,
    ),
    "asin: (asin r - r) / r^3 in r^2": (
        lambda z: tiny(z, mp.mpf(1) / 6, lambda: (mp.asin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3),
        lambda z: z,
        0,
        0.25,
        5,
    ),
    "erf: erf(x) / x in x^2": (
        lambda z: tiny(z, 2 / mp.sqrt(mp.pi), lambda: mp.erf(mp.sqrt(z)) / mp.sqrt(z)),
        one,
        0,
        0.9,
        6,
    ),
    "erfc: erfc(z) e^(z^2) / t, t = 1/(1 + z/2)": (
        erfcx_over_t,
        lambda t: 1 / erfcx_over_t(t),
        mp.mpf(1) / mp.mpf("6.0"),
        1,
        10,
    ),
    "pow: (atanh(s)/s - 1) / s^2 in s^2": (atanh_tail, lambda z: z, 0, mp.mpf("0.02945"), 2),
}

if __name__ == "__main__":
    for name, (f, w, a, b, degree) in FITS.items():
        c, error = remez(f, w, a, b, degree)
        print(f"{name}   error 2^{float(mp.log(error, 2)):.1f}")
        print("   ", ", ".join(f"{np.float32(float(x))!s}f" for x in c))
    mp.mp.dps = 100
    scaled = int(mp.floor(2 / mp.pi * mp.mpf(2) ** 224))
    print("2/pi after 32 zero bits:", ", ".join(f"0x{(scaled >> (224 - 32 * i)) & 0xFFFFFFFF:08x}" for i in range(8)))
    for name, value, parts in (
        ("pi/2", mp.pi / 2, 3),
        ("ln2", mp.log(2), 2),
        ("2 log2(e)", 2 / mp.log(2), 2),
        ("pi/4", mp.pi / 4, 2),
        ("pi", mp.pi, 2),
    ):
        out, rest = [], value
        for _ in range(parts):
            part = np.float32(float(rest))
            out.append(float(part).hex())
            rest -= mp.mpf(float(part))
        print(name, out)
