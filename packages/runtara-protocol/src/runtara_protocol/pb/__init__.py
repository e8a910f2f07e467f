"""The messages of the instance protocol and of the management protocol, generated from their .proto files."""
