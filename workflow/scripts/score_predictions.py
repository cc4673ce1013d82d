"""Score each validation design: R, RMSE, bias, ubRMSE (E5-E7) with intervals over places."""

import pandas as pd

from _log import log, log_to
from _metrics import METRICS
from _scores import score
from _table import write_table


def main(predictions: str, metrics: str, bootstrap: int, seed: int) -> None:
    table = pd.read_parquet(predictions)
    result = score(table, METRICS, bootstrap, seed)
    shown = result[(result["subset"] == "all") & result["metric"].isin(["R", "RMSE"])]
    for row in shown.itertuples():
        log.info(
            "%s %s %.3f [%.3f, %.3f] n %d",
            row.protocol,
            row.metric,
            row.value,
            row.low,
            row.high,
            row.n,
        )
    write_table(result, metrics)


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(
        predictions=snakemake.input.predictions,
        metrics=snakemake.output.metrics,
        bootstrap=snakemake.params.bootstrap,
        seed=snakemake.params.seed,
    )
