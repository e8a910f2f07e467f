"""QUIC as this protocol uses it: streams of bytes, which know no message."""
