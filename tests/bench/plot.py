"""The results of bench.py as an SVG: for every metric a panel of bars, the median with its minimum and maximum."""
from xml.sax.saxutils import escape

from report import name, number

PANEL_W, BAR_H, TITLE_H, GAP, COLUMNS, LABEL_W, VALUE_W = 560, 17, 40, 16, 2, 150, 90
COLOURS = {"tapglass": "#0b7a75", "none": "#0b7a75", "kernel": "#7a7a7a", "nginx": "#7a7a7a",
           "lwip": "#c8553d", "gvisor": "#3d5a98", "gvisor_packet": "#6c86bd", "bare": "#c9a227"}
OTHER = "#5aa9a4"


def text(x, y, what, size=11, anchor="start", weight="normal", fill="#222"):
    return '<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" font-weight="%s" fill="%s">%s</text>' % (
        x, y, size, anchor, weight, fill, escape(what))


def rows(e):
    return list(e["peers"].items())


def panel(e, x, y):
    out = [text(x, y + 14, e["title"], 12, weight="bold"),
           text(x, y + 28, "%s, %s is better" % (e["unit"], "more" if e["higher_is_better"] else "less"), 10,
                fill="#666")]
    shown = rows(e)
    top = max([s["max"] for _, s in shown] + [1e-9])
    scale = (PANEL_W - LABEL_W - VALUE_W) / top
    left = x + LABEL_W
    for i, (peer, s) in enumerate(shown):
        at = y + TITLE_H + i * BAR_H
        out.append(text(left - 6, at + 11, name(peer), anchor="end"))
        out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>' % (
            left, at + 1, max(s["median"] * scale, 0.5), BAR_H - 4, COLOURS.get(peer.split()[0], OTHER)))
        out.append('<path d="M%.1f %.1fH%.1f" stroke="#222" stroke-width="1.4"/>' % (
            left + s["min"] * scale, at + BAR_H / 2 - 1, left + s["max"] * scale))
        out.append(text(left + s["max"] * scale + 5, at + 11, number(s["median"], e["digits"]), fill="#444"))
    return out


def svg(results, subtitle):
    shown = [e for e in results if e["peers"]]
    height = [TITLE_H + BAR_H * len(rows(e)) + GAP for e in shown]
    body, ends = [], [60.0] * COLUMNS
    for e, h in zip(shown, height):
        column = ends.index(min(ends))
        body += panel(e, 20 + column * (PANEL_W + 20), ends[column])
        ends[column] += h
    w, h = COLUMNS * (PANEL_W + 20) + 20, max(ends) + 10
    head = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
            'font-family="sans-serif">' % (w, h, w, h), '<rect width="100%" height="100%" fill="#fff"/>',
            text(20, 28, "Tapglass beside its peers", 18, weight="bold"), text(20, 46, subtitle, 11, fill="#666")]
    return "\n".join(head + body + ["</svg>"]) + "\n"
