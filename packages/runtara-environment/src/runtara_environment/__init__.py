"""Launches workflow processes on this machine."""
