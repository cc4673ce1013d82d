"""The pieces of an HTML page that opens from disk and fetches nothing. Text is escaped here."""

from __future__ import annotations

import os
from base64 import b64encode
from html import escape
from pathlib import Path

STYLE = """
:root{--ink:#1c1c1c;--soft:#5a6068;--line:#dfe3e6;--blue:#1f5f8b;--warn:#fff4e5}
*{box-sizing:border-box}
body{margin:0;color:var(--ink);background:#fff;font:17px/1.55 system-ui,sans-serif}
main,header{max-width:60rem;margin:auto;padding:0 1.2rem}
header{padding-top:2.2rem}
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
td:first-child{white-space:normal;min-width:11rem}
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


def table(head: list[str], rows: list[list[str]], caption: str) -> str:
    """Return a table of text; wide ones scroll inside themselves."""
    heads = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<div class=wide><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(stem: str, png: bytes, caption: str) -> str:
    """Return a figure: the picture itself, its caption, links to the files beside the page."""
    name, words = escape(stem), escape(caption)
    links = ", ".join(f'<a href="{name}.{end}">{end.upper()}</a>' for end in ("png", "pdf", "csv"))
    picture = b64encode(png).decode("ascii")
    # Letters are then as large in a narrow figure as in a wide one.
    width = round(int.from_bytes(png[16:20]) * 0.7)
    return (
        f'<figure id="{name}"><img style="width:{width}px" alt="{words}" '
        f'src="data:image/png;base64,{picture}">'
        f"<figcaption>{words} {links}</figcaption></figure>"
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


def document(title: str, banner: str, lead: list[str], sections: list[tuple[str, str]]) -> str:
    """Return the whole page; `title`, `banner` and `lead` are text, sections (text, HTML)."""
    notice = f"<p class=banner>{escape(banner)}</p>" if banner else ""
    words = "".join(f"<p class=lead>{escape(text)}</p>" for text in lead)
    body = "\n".join(
        f"<section><h2>{escape(head)}</h2>\n{part}</section>" for head, part in sections
    )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        f"<header>{notice}<h1>{escape(title)}</h1>\n{words}</header>\n"
        f"<main>{body}</main></body></html>\n"
    )
