"""One table of all years from the tables of the years, so that a new year adds rows only."""

from pathlib import Path

from _log import UserError, log, log_to
from _table import write_text


def joined(texts: dict[str, str]) -> str:
    """Return the CSV texts (by file name) below one header, which all must share."""
    rows, first = [], None
    for path, text in texts.items():
        header, *body = text.splitlines()
        first = first or (path, header)
        if header != first[1]:
            raise UserError(
                f"{path}: expected the columns of {first[0]} ({first[1]}), found {header}. "
                "Delete both files and run again."
            )
        rows += body
    return "\n".join([first[1], *rows]) + "\n"


def main(years, table):
    text = joined({path: Path(path).read_text(encoding="utf-8") for path in years})
    write_text(text, table)
    log.info("%d rows of %d years", text.count("\n") - 1, len(years))


if __name__ == "__main__":
    log_to(snakemake.log[0])
    main(years=snakemake.input.years, table=snakemake.output.table)
