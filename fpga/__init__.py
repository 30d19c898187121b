"""FPGA synthesis: primitives, boards, reports."""
