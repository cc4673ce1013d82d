"""Draw how the predictors go together over the samples: Pearson correlations (S23, F6).

Sand, silt, clay and the water capacity made from them span two dimensions only (D2).
"""

import numpy as np
import pandas as pd

from _figures import INK, SIGNED, WIDTH, canvas, save
from _log import UserError, log, log_to
from _table import write_table


def correlations(samples: pd.DataFrame, predictors: list[str]) -> pd.DataFrame:
    """Return the matrix of Pearson correlations; a constant predictor has none (NaN)."""
    missing = [name for name in predictors if name not in samples]
    if missing:
        raise UserError(
            f"samples.parquet: expected a column for each predictor, found none for "
            f"{', '.join(missing)}. Run the features stage again."
        )
    return samples[list(predictors)].astype("float64").corr()


def figure_of(matrix: pd.DataFrame, count: int):
    """Return the heat map with its numbers, the diagonal left empty."""
    names = list(matrix)
    side = min(WIDTH, 1.6 + 0.4 * len(names))
    figure = canvas(height=side * 0.9, width=side)
    axes = figure.subplots()
    values = matrix.to_numpy(copy=True)
    np.fill_diagonal(values, np.nan)
    image = axes.imshow(values, cmap=SIGNED, vmin=-1, vmax=1)
    for row, column in np.ndindex(values.shape):
        if row != column:
            value = values[row, column]
            text = f"{value:z.2f}".replace("-", "−") if np.isfinite(value) else "–"
            colour = "white" if abs(value) > 0.5 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    for line in axes.spines.values():
        line.set_visible(False)
    label = f"Pearson correlation over {count:,} samples"
    figure.colorbar(image, ax=axes, label=label, shrink=0.8, aspect=30, pad=0.02)
    return figure


def main(samples, png, pdf, csv, predictors, note):
    table = pd.read_parquet(samples)
    matrix = correlations(table, predictors)
    save(figure_of(matrix, len(table)), png, pdf, note)
    write_table(matrix.rename_axis("predictor").reset_index(), csv)
    constant = [name for name in matrix if not np.isfinite(matrix.loc[name, name])]
    log.info("%d samples; constant predictors: %s", len(table), ", ".join(constant) or "none")


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        samples=snakemake.input.samples,
        png=snakemake.output.png,
        pdf=snakemake.output.pdf,
        csv=snakemake.output.csv,
        predictors=snakemake.params.predictors,
        note=snakemake.params.note,
    )
