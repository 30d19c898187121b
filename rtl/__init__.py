"""The machine in Amaranth HDL: one file a slice."""
