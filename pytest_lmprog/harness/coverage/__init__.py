"""Which lines and branches of a program its examples run: watched beside whatever else measures coverage."""
