"""From schedules to programs: the schedule builder, the independent schedule check, kernels."""

from lpu.compiler.builder import QueueOverflow, Schedule, ScheduleError, link
from lpu.compiler.check import check_program
from lpu.compiler.matmul import MatmulError, compile_matmul, ideal_cycles, read_result

__all__ = [
    "MatmulError",
    "QueueOverflow",
    "Schedule",
    "ScheduleError",
    "check_program",
    "compile_matmul",
    "ideal_cycles",
    "link",
    "read_result",
]
