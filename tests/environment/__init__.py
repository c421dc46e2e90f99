"""What the tests stand on: Redis, PostgreSQL, migrated databases, the sandbox service, Chromium, loopback only.

Everything here is the real thing, started once per session and thrown away; fixtures.py makes fixtures of it.
"""
