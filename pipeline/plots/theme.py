"""How plots look: one configuration for light pages and files, one for dark pages."""

from __future__ import annotations

from typing import Any

_LIGHT_COLORS = ["#0b62a4", "#c8553d", "#2a8c5a", "#a67c00", "#6b4fa0", "#00808a", "#8c3b6a"]
_DARK_COLORS = ["#6cb4f0", "#ff9a80", "#6fd6a0", "#f0c75e", "#bfa3ff", "#5fd4dc", "#f08cc0"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def _config(ink: str, faint: str, colors: list[str], heat: list[str]) -> dict[str, Any]:
    """Return a Vega-Lite configuration from the colours of text, grid, series and heat maps."""
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": "transparent"},
        "axis": {
            "labelColor": ink,
            "titleColor": ink,
            "gridColor": faint,
            "domainColor": faint,
            "tickColor": faint,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelLimit": 160,
        },
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "labelLimit": 240},
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "orient": "top",
            "columns": 3,
            "symbolSize": 90,
        },
        "title": {"color": ink},
        "text": {"color": ink, "fontSize": 12},
        "rule": {"color": ink},
        "range": {"category": colors, "heatmap": heat, "ramp": heat, "symbol": SHAPES},
    }


LIGHT = _config("#1f2933", "#dfe3e8", _LIGHT_COLORS, ["#c9dff3", "#5f9fd3", "#08396b"])
DARK = _config("#e6e9ee", "#3a424d", _DARK_COLORS, ["#24405c", "#3f86c0", "#c4e5ff"])
FILES = {**LIGHT, "background": "white"}
