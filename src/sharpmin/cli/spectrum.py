"""`sharpmin spectrum`: eigenvalues, trace and spectral density of the Hessian at checkpoints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, Setting, figure_name, labelled, measuring, show
from sharpmin.cli.saving import save
from sharpmin.rows import row

if TYPE_CHECKING:
    from sharpmin.products import Curvature


def spectrum(
    source: str,
    /,
    *checkpoints: str,
    k: int | None = None,
    which: Literal["top", "bottom", "both"] = "top",
    matrix: Literal["hessian", "gauss-newton"] = "hessian",
    layers: Annotated[list[str] | None, Parameter(consume_multiple=1, negative="")] = None,
    method: Literal["auto", "blocked", "forward-over-reverse", "double-backward", "finite-differences"] = "auto",
    tol: float = 1e-3,
    max_products: int = 300,
    trace: Annotated[bool, Parameter(negative="")] = False,
    density: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
    options: Options | None = None,
) -> None:
    """Find the eigenvalues of the Hessian at the ends of its spectrum: how sharp the sharpest directions are.

    Adds the rows to spectrum.jsonl in the run folder; with --density also draws Figures/NAME-density.pdf and .png.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function.
    checkpoints
        Of your own task: files or folders with weights.
    k
        Eigenvalues at each end; 5, or as many as there are.
    which
        The largest, the smallest (most negative), or both.
    matrix
        The Hessian, or its Gauss-Newton part, which has no negative eigenvalues.
    layers
        Take the diagonal block of the parameters that match these patterns.
    method
        How products are computed: auto takes the first exact one that works. Where none does, finite-differences needs
        only gradients, and its products have their error.
    tol
        Residual of an eigenpair relative to its eigenvalue, at which it counts as converged.
    max_products
        Products with the matrix to spend on eigenvalues of a point at most; each costs about two gradients.
    trace
        Estimate the trace too (Hutch++), with its standard error; 60 products more.
    density
        Estimate the density of all eigenvalues too (stochastic Lanczos quadrature); 150 products more.
    seed
        Of the start vectors.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin import measures
    from sharpmin.disk import check_writable
    from sharpmin.products import Curvature

    rows, asked = [], {"which": which, "tol": tol, "max_products": max_products}
    with measuring(source, checkpoints, options, by_gradients=True) as setting:
        check_writable(setting.subject.run.folder)
        if density:
            check_writable((options or Options()).out / "Figures")
        for point in setting.subject.points:
            objective = setting.subject.around(point)
            curvature = Curvature(objective, matrix=matrix, layers=layers, method=method)
            report = labelled(setting.progress, point)
            most = curvature.size // (2 if which == "both" else 1)
            pairs = max(1, min(5, most)) if k is None else k
            found = measures.spectrum(curvature, k=pairs, **asked, seed=seed, progress=report)  # type: ignore[arg-type]
            whole = measures.trace(curvature, seed=seed, progress=report) if trace else None
            keep(setting, point, found, whole)
            rows.append((point, found, whole))
            if density:
                draw_density(setting, point, curvature, seed=seed, out=(options or Options()).out)
    show(table(rows))
    for point, found, _ in rows:
        if not bool(found.converged.all()):
            print(f"{point}: {found.message}")


def keep(setting: Setting, point: str, found: Any, whole: Any) -> None:
    """Add the row to the run folder."""
    line = row(point, found, setting.environment)
    if whole is not None:
        line["trace"] = {"value": whole.value, "standard_error": whole.standard_error, "products": whole.products}
    setting.subject.run.add_line("spectrum.jsonl", line)


def draw_density(setting: Setting, point: str, curvature: "Curvature", *, seed: int, out: Any) -> None:
    """Estimate the density of the eigenvalues and draw it."""
    from sharpmin import measures, plots

    found = measures.density(curvature, seed=seed, progress=labelled(setting.progress, point))
    setting.subject.run.add_line("density.jsonl", row(point, found, setting.environment))
    stem = out / "Figures" / figure_name(setting.subject, f"{point}-density")
    save(stem, lambda: plots.density(found, title=f"{setting.subject.name}, {point}"))


def table(rows: Sequence[tuple[str, Any, Any]]) -> Any:
    """A row an eigenvalue, with its residual; the trace, where asked for, below."""
    from rich.table import Table

    shown = Table("", "eigenvalue", "residual", "converged", "products", "method", "s", box=None)
    for point, found, whole in rows:
        pairs = zip(found.eigenvalues.tolist(), found.residuals.tolist(), found.converged.tolist(), strict=True)
        for number, (value, residual, converged) in enumerate(pairs):
            evidence = (str(found.products), found.method, f"{found.seconds:.0f}") if number == 0 else ()
            shown.add_row(point, f"{value:.5g}", f"{residual:.1g}", "yes" if converged else "no", *evidence)
        if whole is not None:
            trace = f"trace {whole.value:.5g}", f"± {whole.standard_error:.2g}"
            shown.add_row(point, *trace, "", str(whole.products), whole.method, f"{whole.seconds:.0f}")
    return shown
