"""Symbols: solve, differentiate, integrate, limits, series, matrices, LaTeX."""

import sympy as sp

x, y, n = sp.symbols("x y n")
assert set(sp.solve(x**2 - 5 * x + 6, x)) == {2, 3}
assert sp.solve([x + 2 * y - 5, 3 * x - y - 1], [x, y]) == {x: 1, y: 2}
assert sp.solveset(sp.sin(x), x, sp.Interval(0, 7)) == {0, sp.pi, 2 * sp.pi}

assert sp.diff(sp.sin(x) * sp.exp(x), x).equals(sp.exp(x) * (sp.sin(x) + sp.cos(x)))
assert sp.integrate(x * sp.exp(-x), (x, 0, sp.oo)) == 1
assert sp.integrate(sp.exp(-(x**2)), (x, -sp.oo, sp.oo)) == sp.sqrt(sp.pi)
assert sp.limit((1 + 1 / n) ** n, n, sp.oo) == sp.E
assert sp.series(sp.cos(x), x, 0, 6).removeO() == 1 - x**2 / 2 + x**4 / 24
assert sp.summation(1 / n**2, (n, 1, sp.oo)) == sp.pi**2 / 6

assert sp.factor(x**3 - y**3) == (x - y) * (x**2 + x * y + y**2)
assert sp.simplify(sp.sin(x) ** 2 + sp.cos(x) ** 2) == 1
assert sp.factorint(2**32 + 1) == {641: 1, 6700417: 1}

m = sp.Matrix([[2, 1], [1, 2]])
assert m.det() == 3
assert m.eigenvals() == {1: 1, 3: 1}
assert m.inv() == sp.Matrix([[2, -1], [-1, 2]]) / 3

f = sp.Function("f")
answer = sp.dsolve(sp.Eq(f(x).diff(x), -2 * f(x)), f(x), ics={f(0): 3})
assert answer.rhs == 3 * sp.exp(-2 * x)

assert sp.latex(sp.Rational(1, 2) + sp.sqrt(x)) == r"\sqrt{x} + \frac{1}{2}"
assert sp.latex(sp.Integral(x**2, (x, 0, 1))) == r"\int\limits_{0}^{1} x^{2}\, dx"
assert str(sp.N(sp.pi, 30)) == "3.14159265358979323846264338328"
assert abs(sp.lambdify(x, sp.exp(x) / 2)(1) - 1.3591409142295225) < 1e-12

print("ok: sympy")
