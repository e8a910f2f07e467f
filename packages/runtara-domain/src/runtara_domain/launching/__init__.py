"""The decisions of environments and workers about launches, without processes or databases."""
