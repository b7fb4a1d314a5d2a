"""A report as one HTML file that needs no network: what it holds, and how it is written. Never imports torch."""

from attnzoo.report.page import tables
from attnzoo.report.page.contents import Case, Page, Picture, Section, Verdict
from attnzoo.report.page.render import embedded, html
from attnzoo.report.page.verdicts import verdicts

__all__ = ["Case", "Page", "Picture", "Section", "Verdict", "embedded", "html", "tables", "verdicts"]
