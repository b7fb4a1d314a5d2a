"""A reproduction's tables, made again from its record: the paper's numbers beside ours."""

from collections.abc import Mapping
from typing import Any

from attnzoo import typed
from attnzoo.recipe import Claims, Recipe
from attnzoo.report.page import Section
from attnzoo.results import Result
from attnzoo.workflows.claims import Model, comparison, consistency, counts
from attnzoo.workflows.report.folder import Folder


def sections(folder: Folder) -> tuple[Section, ...]:
    """The paper's tables, and what keeps the two from being compared."""
    models = [_model(one) for one in folder.record["models"]]
    trained = [model for model in models if model.results]
    notes = tuple(folder.record.get("caveats", ()))
    tables = (comparison(trained), consistency(trained), counts(models))
    words = ("The paper's numbers beside ours. What cannot be compared, and why, is below the tables.",)
    return (Section("paper", "The paper beside ours", words, tables=tables, notes=notes),)


def _model(table: Mapping[str, Any]) -> Model:
    results = tuple(
        Result(**{**one, "classes": tuple(one["classes"]), "insertions": tuple(one["insertions"])})
        for one in table["results"]
    )
    recipe = typed.build(Recipe, _said(table["recipe"]), "")
    return Model(recipe, typed.build(Claims, _said(table["claims"]), ""), table["counted"], results, table["cost"])


def _said(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without what was left unsaid."""
    return {
        name: _said(value) if isinstance(value, dict) else value for name, value in table.items() if value is not None
    }
