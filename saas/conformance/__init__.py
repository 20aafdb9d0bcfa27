"""The conformance kit: tests any service over HTTP against one description of the authentication contract.

Independent of this code base: ``contract.toml`` is data, and its runner needs only httpx and rich.
"""
