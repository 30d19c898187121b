"""The host side: machine interface, host port protocol, driver of any tile behind a transport."""

from lpu.runtime.driver import RtlMachine, Transport
from lpu.runtime.machine import Machine, MachineError, Result, Violation, ViolationKind

__all__ = ["Machine", "MachineError", "Result", "RtlMachine", "Transport", "Violation", "ViolationKind"]
