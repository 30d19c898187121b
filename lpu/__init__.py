"""The contract and toolchain of the open Language Processing Unit."""

__version__ = "0.1.0"
