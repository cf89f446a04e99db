"""Judges in a unit: which ones its metrics can ask, and calibration units, where the program is a judge."""
