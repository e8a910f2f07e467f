"""The messages of the instance protocol, generated from instance.proto."""
