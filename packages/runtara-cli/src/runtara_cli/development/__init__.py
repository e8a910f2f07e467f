"""`runtara dev`: a core, an environment and the workflows of files that are being written."""
