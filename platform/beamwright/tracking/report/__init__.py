"""The report of a run: one HTML page that explains itself and needs no network."""

from beamwright.tracking.report.page import write_report

__all__ = ["write_report"]
