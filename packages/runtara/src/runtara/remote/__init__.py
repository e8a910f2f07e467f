"""The core through its servers: an environment on port 8002, the instances' port 8001."""
