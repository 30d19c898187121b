"""The host side: the machine interface, the host port's protocol and the driver of any tile behind a transport."""

from lpu.runtime.machine import Machine, MachineError, Result, Violation, ViolationKind

__all__ = ["Machine", "MachineError", "Result", "Violation", "ViolationKind"]
