"""Signing, encryption, scrubbing and the audit log of saved artifacts: one verb a file."""
