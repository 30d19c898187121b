"""The bit-exact NumPy model of the machine, written from docs/numerics.md and docs/architecture.md."""
