"""QUIC as this protocol uses it: streams of bytes, without knowledge of messages."""
