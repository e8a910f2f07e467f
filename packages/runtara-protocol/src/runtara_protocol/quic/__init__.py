"""QUIC as this protocol uses it: streams of bytes. Nothing here knows the protocol's messages."""
