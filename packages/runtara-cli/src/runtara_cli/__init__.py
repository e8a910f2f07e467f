"""The command line: develop, deploy and operate workflows."""
