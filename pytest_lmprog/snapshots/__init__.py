"""Snapshots: what a compile produced, as a reviewable file, and what it depends on."""
