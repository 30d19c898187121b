"""A model on several chips: cut by layers, every chip's program, and what passes between them, to the cycle."""

from lpu.compiler.chips.system import compile_system

__all__ = ["compile_system"]
