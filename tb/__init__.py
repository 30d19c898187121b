"""Verilated models of the RTL: cocotb benches and the fast simulator."""
