"""The tap: loopback proxies between an application and its stores that record the calls they pass on.

Parsers (bytes in, records out) know no sockets: `http`, `dynamodb`, `postgres`, `assign`. `relay` moves the bytes and
knows no protocol. `server` joins them. Only the standard library is imported, and nothing of devenv that needs more,
so that the tap's process starts fast.
"""
