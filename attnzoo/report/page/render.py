"""A page → HTML. jinja2 is imported inside: tables and figures do without it."""

import base64
import re
from pathlib import Path

from attnzoo.report.page.contents import Page

_HERE = Path(__file__).parent
_TYPES = {"svg": "image/svg+xml", "png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}


def embedded(data: bytes, kind: str) -> str:
    """A picture's bytes as a data URI; `kind` is `svg`, `png`, `webp` or `jpg`."""
    return f"data:{_TYPES[kind]};base64,{base64.b64encode(data).decode()}"


def html(page: Page) -> str:
    """The page as one file: style and pictures inside, no script, every text escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def coded(words: str) -> Markup:
        """Escaped, then what is in backticks as code."""
        code = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words)))
        return Markup(code)

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def breakable(words: str) -> Markup:
        """Escaped; a spelling may be broken behind its signs, `ema+gate@|skip`."""
        return Markup(re.sub(r"(?<=\w)([+@/])(?=\w)", r"\1<wbr>", str(escape(words))))

    environment.filters["breakable"] = breakable
    environment.filters["coded"] = coded
    environment.filters["prose"] = lambda words: coded(words[:1].upper() + words[1:])
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html").render(page=page, style=style) + "\n"
