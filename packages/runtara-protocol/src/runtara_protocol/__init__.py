"""The wire protocols of Runtara: messages, frames and QUIC; README.md has an overview."""
