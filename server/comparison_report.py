"""A comparison as one HTML page: nothing in it is fetched from elsewhere, everything in it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1d2430, #eceff4); --paper: light-dark(#fff, #14171c);
  --soft: light-dark(#5b6472, #a3adbb); --line: light-dark(#e3dccf, #323a45);
  --better: light-dark(#0072b2, #56b4e9); --worse: light-dark(#b34700, #f2a46b); }
body { margin: 0 auto; padding: 1.5rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
p { margin: .2rem 0; } .soft { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: middle; }
th { font-weight: 600; color: var(--soft); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: var(--better); } .worse { color: var(--worse); }
.better, .worse { font-weight: 600; } .verdict { white-space: nowrap; } .title { min-width: 9rem; }
svg { display: block; } svg line, svg rect { stroke: none; fill: var(--soft); }
svg .zero { fill: var(--line); } svg .better { fill: var(--better); } svg .worse { fill: var(--worse); }
figure { margin: 0; width: 76px; } figcaption { font-size: .7rem; line-height: 1.2; color: var(--soft);
  overflow: hidden; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; }
img, .none { width: 72px; height: 72px; object-fit: contain; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; } .none { display: block; background: none; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
BAR_PX, BAR_HEIGHT_PX = 140, 14
NAMES = {"sub_category": "Sub-categories", "article_type": "Article types"}


def report_html(result: Mapping[str, Any], pictures: Mapping[int, str]) -> str:
    """The page.

    Args:
        result: of `server.comparing.compare`.
        pictures: product → ``data:`` URI.
    """
    a, b = (_name(result[side]) for side in ("a", "b"))
    whole = _capital(" against ".join(_with_aliases(result[side]) for side in ("b", "a")))
    parts = [
        f"<h1>{whole}</h1>",
        *_about(result, a, b),
        "<h2>All queries</h2>",
        _metrics(result["metrics"], a, b),
        *_groups("Clients", result["clients"], a, b, "each client's own held-out titles"),
        *(
            part
            for by, groups in result["categories"].items()
            for part in _groups(NAMES.get(by, escape(by)), groups, a, b, "queries by what they ask for")
        ),
        *_moved(result["moved"], pictures, a, b),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{whole}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head>\n'
        f"<body>{chr(10).join(parts)}</body></html>\n"
    )


def _name(model: Mapping[str, Any]) -> str:
    version = str(model["version"])
    return escape(f"version {version}" if version.isdigit() else version)


def _with_aliases(model: Mapping[str, Any]) -> str:
    return _name(model) + (f" ({escape(', '.join(model['aliases']))})" if model["aliases"] else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _about(result: Mapping[str, Any], a: str, b: str) -> Iterable[str]:
    catalogue = result["catalogue"]
    yield (
        f"<p>Text to image on catalogue {escape(catalogue['version'])}: {catalogue['queries']:,} titles of the test "
        f"split over all {catalogue['gallery']:,} products. A difference above zero is a gain of {b}.</p>"
    )
    yield (
        '<p class="soft">Intervals are of 95 %, from resampling the queries, the same for both; those of a table of '
        "groups hold for all its rows together.</p>"
    )
    for side, name in (("a", a), ("b", b)):
        if note := result[side]["note"]:
            yield f'<p class="soft">{_capital(name)}: {escape(note)}.</p>'


def _metrics(rows: Sequence[Mapping[str, Any]], a: str, b: str) -> str:
    span = _span(rows)
    cells = [(escape(row["metric"]), *_figures(row, span)) for row in rows]
    return _table(("metric", a, b, "difference", "interval", "", ""), cells)


def _groups(title: str, groups: Mapping[str, Any], a: str, b: str, what: str) -> Iterable[str]:
    rows, few = groups["judged"], groups["too_few"]
    if not rows and not few:
        return
    yield f"<h2>{title}</h2>"
    yield f'<p class="soft">Recall@10, {what}.</p>'
    if rows:
        span = _span(rows)
        cells = [(escape(row["name"]), f"{row['queries']:,}", *_figures(row, span)) for row in rows]
        yield _table(("", "queries", a, b, "difference", "interval", "", ""), cells)
    if few:
        listed = ", ".join(f"{escape(name)} {queries}" for name, queries in few.items())
        yield f'<p class="soft">Too few queries to judge: {listed}.</p>'


def _figures(row: Mapping[str, Any], span: float) -> tuple[str, ...]:
    verdict = row["verdict"]
    return (
        f"{row['a']:.3f}",
        f"{row['b']:.3f}",
        f"{row['difference']:+.3f}",
        f"[{row['lower']:+.3f}, {row['upper']:+.3f}]",
        _bar(row, span),
        f'<span class="verdict {_kind(verdict)}">{verdict}</span>',
    )


def _kind(verdict: str) -> str:
    return verdict if verdict in ("better", "worse") else "soft"


def _span(rows: Sequence[Mapping[str, Any]]) -> float:
    """The largest difference of a table: its bars have one scale."""
    return max((abs(row[end]) for row in rows for end in ("lower", "upper")), default=0.0) or 1.0


def _bar(row: Mapping[str, Any], span: float) -> str:
    """The interval as a line around zero, with a mark at the difference."""
    left, middle, right = (BAR_PX / 2 * (1 + row[name] / span) for name in ("lower", "difference", "upper"))
    kind, centre = _kind(row["verdict"]), BAR_HEIGHT_PX / 2
    return (
        f'<svg width="{BAR_PX + 4}" height="{BAR_HEIGHT_PX}" viewBox="-2 0 {BAR_PX + 4} {BAR_HEIGHT_PX}" '
        'aria-hidden="true">'
        f'<rect class="zero" x="{BAR_PX / 2 - 0.5}" y="0" width="1" height="{BAR_HEIGHT_PX}"/>'
        f'<rect class="{kind}" x="{left:.1f}" y="{centre - 1}" width="{max(right - left, 1):.1f}" height="2"/>'
        f'<rect class="{kind}" x="{middle - 2:.1f}" y="{centre - 4}" width="4" height="8"/></svg>'
    )


def _moved(moved: Mapping[str, Any], pictures: Mapping[int, str], a: str, b: str) -> Iterable[str]:
    counts = moved["counts"]
    yield "<h2>Examples that moved</h2>"
    yield (
        f"<p>{_capital(b)} ranks the first right product higher for {counts['up']:,} titles, lower for "
        f"{counts['down']:,}, and the same for {counts['same']:,}. Shown are those that moved furthest.</p>"
    )
    for title, rows in (("Found earlier", moved["up"]), ("Found later", moved["down"])):
        if rows:
            head = (title, "right product", f"rank, {a}", f"rank, {b}", f"first for {a}", f"first for {b}")
            yield _table(head, [_example(row, pictures) for row in rows])


def _example(row: Mapping[str, Any], pictures: Mapping[int, str]) -> tuple[str, ...]:
    ids = ", ".join(str(product) for product in row["product_ids"][:5])
    more = f" and {len(row['product_ids']) - 5} more" if len(row["product_ids"]) > 5 else ""
    return (
        f'<div class="title">{escape(row["title"])}<br><span class="soft">{ids}{more}</span></div>',
        _picture(row["product_ids"][0], "", pictures),
        f"{row['rank_a']:,}",
        f"{row['rank_b']:,}",
        _picture(row["best_a"]["id"], row["best_a"]["title"], pictures),
        _picture(row["best_b"]["id"], row["best_b"]["title"], pictures),
    )


def _picture(product: int, title: str, pictures: Mapping[int, str]) -> str:
    said = escape(title or f"product {product}")
    uri = pictures.get(product)
    image = f'<img src="{escape(uri)}" alt="{said}">' if uri else f'<span class="none" title="{said}"></span>'
    return f'<figure>{image}<figcaption title="{said}">{escape(title)}</figcaption></figure>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already; columns of numbers stand at the right."""
    classes = [' class="n"' if column and _is_number(cell) else "" for column, cell in enumerate(rows[0])]
    titles = "".join(f"<th{kind}>{cell}</th>" for kind, cell in zip(classes, head, strict=True))
    lines = ("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _is_number(cell: str) -> bool:
    return cell[:1] in tuple("+-[0123456789")
