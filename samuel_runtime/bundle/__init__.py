"""Bundles: what is in the folder, what its manifest says, and whether its files may be trusted."""
