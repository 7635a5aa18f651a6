"""Messengers with people, real servers or doubles, for tests of the whole product: one interface for all channels."""
