"""The schedule report: a finished program as one HTML page that shows when every queue does what, and for which layer."""

from lpu.compiler.report.data import Start, collect, starts
from lpu.compiler.report.page import write_report
from lpu.compiler.report.symbols import positions

__all__ = ["Start", "collect", "positions", "starts", "write_report"]
