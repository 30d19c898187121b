"""Quantised operations to flows: each module lowers some kinds of operation, :mod:`lpu.compiler.lower.program` all of them."""
