"""Great-expectations' Data Docs: a static site that tells of every expectation, day by day, whether it was met.

It is made of what the ledger keeps, so that it costs the same however much was judged.
"""

from collections.abc import Sequence
from datetime import UTC, date
from html import escape
from pathlib import Path
from typing import Any, get_args

from data_contracts.expectations import Frame, checks_of, one_at_a_time, open_context, suite
from data_contracts.quality import Day

_SITE, _ASSET = "quality", "invoices"
_NAMED = 20  # invoices that a page names for each expectation


def write_docs(folder: Path, days: Sequence[Day]) -> None:
    """Write the site of these days into a folder.

    A page that is there already is left as it is, the page of a day that is not meant any more is removed. Where
    nothing is missing, great-expectations is not even imported.
    """
    missing = {
        (frame, day.on) for frame in get_args(Frame) for day in days if not (folder / page_of(frame, day)).exists()
    }
    if missing:
        with one_at_a_time:
            context = open_context()
            results = _store_results(context, days)
            _name_site(context, folder)
            wanted = [result for frame_and_day, result in results.items() if frame_and_day in missing]
            context.build_data_docs([_SITE], [*wanted, *(each.expectation_suite_identifier for each in wanted)])


def page_of(frame: Frame, day: Day) -> str:
    """Return where in the folder great-expectations writes the page of a day."""
    moment = f"{day.last_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
    return f"validations/{frame}/{day.on.isoformat()}/{moment}/{_ASSET}.html"


def _name_site(context: Any, folder: Path) -> None:
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    known = _SITE in context.list_data_docs_sites()
    (context.update_data_docs_site if known else context.add_data_docs_site)(_SITE, site)


def _store_results(context: Any, days: Sequence[Day]) -> dict[tuple[Frame, date], Any]:
    """Have great-expectations hold what was found on these days, and on no others; return how it names each."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    store = context.validation_results_store
    for key in store.list_keys():
        store.remove_key(key)
    names = {}
    for frame in get_args(Frame):
        context.suites.add_or_update(suite(frame))
        for day in days:
            run = RunIdentifier(day.on.isoformat(), day.last_at)
            name = ValidationResultIdentifier(ExpectationSuiteIdentifier(frame), run, _ASSET)
            store.set(name, _result(frame, day, run))
            names[frame, day.on] = name
    return names


def _result(frame: Frame, day: Day, run: Any) -> Any:
    """Return a day as great-expectations tells of a batch, in invoices: those judged, and those that broke a rule."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    results = []
    for (_, _, rule, check), configuration in zip(
        checks_of(frame), suite(frame).expectation_configurations, strict=True
    ):
        broken = day.broken.get((rule.id, check.column), {})
        share = 100.0 * len(broken) / max(day.judged, 1)
        counts = {
            "element_count": day.judged,
            "unexpected_count": len(broken),
            "unexpected_percent": share,
            "unexpected_percent_nonmissing": share,
            "missing_count": 0,
            "missing_percent": 0.0,
            # The pages are made without escaping, and anybody may name an invoice as they like.
            "partial_unexpected_list": [escape(broken[each]) for each in sorted(broken)[:_NAMED]],
        }
        results.append(ExpectationValidationResult(success=not broken, expectation_config=configuration, result=counts))
    met = sum(bool(each.success) for each in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": met,
        "unsuccessful_expectations": len(results) - met,
        "success_percent": 100.0 * met / len(results),
    }
    return ExpectationSuiteValidationResult(
        results=results,
        success=met == len(results),
        suite_name=frame,
        statistics=statistics,
        meta={"run_id": run, "active_batch_definition": {"data_asset_name": _ASSET}},
    )
