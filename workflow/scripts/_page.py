"""The pieces of an HTML page that opens from disk and fetches nothing. Text is escaped here."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

STYLE = """
:root{--ink:#1c1c1c;--soft:#5a6068;--line:#dfe3e6;--blue:#1f5f8b;--warn:#fff4e5}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:17px/1.55 system-ui,sans-serif}
main,header{max-width:60rem;margin:auto;padding:0 1.2rem}
header{padding-top:2.2rem}
h1,h2,p,li,figcaption{overflow-wrap:anywhere}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}
p{max-width:44rem;margin:.5rem 0}
.lead{font-size:1.12rem}
.banner{background:var(--warn);border-left:4px solid #c8641e;padding:.6rem .9rem;margin:0 0 1.2rem}
figure{margin:1.4rem 0 2rem}
figure img{max-width:100%;height:auto;border:1px solid var(--line)}
figcaption,.note{color:var(--soft);font-size:.9rem;max-width:46rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.88rem;margin:.8rem 0;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding-bottom:.3rem}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
td:first-child{white-space:normal;min-width:7rem}
td.long{white-space:normal;min-width:16rem;text-align:left}
caption span{position:sticky;left:0;display:inline-block;max-width:min(44rem,100vw - 2.4rem)}
summary{cursor:pointer;padding:.3rem 0}
details .wide{max-height:32rem;overflow:auto}
pre{font-size:.8rem;line-height:1.4}
thead th{vertical-align:bottom;border-bottom:2px solid var(--ink)}
thead th{white-space:normal;min-width:3.4rem}
a{color:var(--blue)}
.files{columns:10rem;list-style:none;padding:0}
main{padding-bottom:3rem}
"""


def words(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """Return a small paragraph."""
    return f"<p class=note>{escape(text)}</p>"


def table(head: list[str], rows: list[list[str]], caption: str, folded: bool = False) -> str:
    """Return a table of text; wide ones scroll inside themselves, `folded` ones open on request."""
    heads = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    body = "\n".join(
        "<tr>" + "".join(f"<td{_long(cell)}>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    name = "" if folded else f"<caption><span>{escape(caption)}</span></caption>"
    made = (
        f"<div class=wide tabindex=0><table>{name}"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
    return _details(f"{caption} ({len(rows)} rows)", made) if folded else made


def _long(cell: str) -> str:
    """Return the mark of a cell whose text may break into lines."""
    return " class=long" if len(cell) > 40 else ""


def _details(summary: str, html: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def listing(summary: str, text: str) -> str:
    """Return a text of many lines that opens on request."""
    return _details(summary, f"<pre class=wide tabindex=0>{escape(text)}</pre>")


def figure(stem: str, png: bytes, caption: str) -> str:
    """Return a figure: the picture beside the page, its caption, links to it as PDF and numbers."""
    name, words = escape(stem), escape(caption)
    links = ", ".join(f'<a href="{name}.{end}">{end.upper()}</a>' for end in ("png", "pdf", "csv"))
    across, down = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
    # Letters are then as large in a narrow figure as in a wide one.
    width, height = round(across * 0.7), round(down * 0.7)
    return (
        f'<figure id="{name}"><a href="{name}.png"><img loading=lazy width={width} height={height} '
        f'alt="{escape(caption.split(". ")[0])}" src="{name}.png"></a>'
        f"<figcaption>{words} {links}</figcaption></figure>"
    )


def viewer(script: str, index: str, page: str) -> str:
    """Return the place of the maps and what fills it; `index` is the first file of their data."""
    source = escape(Path(os.path.relpath(index, Path(page).parent)).as_posix())
    return (
        "<div id=viewer class=viewer>"
        "<noscript>To look at the maps here, allow this page its scripts.</noscript></div>\n"
        f'<script>\n{script}</script>\n<script src="{source}"></script>\n'
    )


def links(paths: list[str], page: str) -> str:
    """Return a list of links relative to the page, so that the folder can be moved."""
    here = Path(page).parent
    items = "".join(
        f'<li><a href="{escape(Path(os.path.relpath(path, here)).as_posix())}">'
        f"{escape(Path(path).stem)}</a></li>"
        for path in paths
    )
    return f"<ul class=files>{items}</ul>"


def document(
    title: str, banner: str, lead: list[str], sections: list[tuple[str, str]], style: str = ""
) -> str:
    """Return the whole page; `title`, `banner` and `lead` are text, sections (text, HTML)."""
    notice = f"<p class=banner>{escape(banner)}</p>" if banner else ""
    words = "".join(f"<p class=lead>{escape(text)}</p>" for text in lead)
    body = "\n".join(
        f"<section><h2>{escape(head)}</h2>\n{part}</section>" for head, part in sections
    )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>"
        f"<header>{notice}<h1>{escape(title)}</h1>\n{words}</header>\n"
        f"<main>{body}</main></body></html>\n"
    )
