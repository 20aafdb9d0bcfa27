"""The conformance kit: one description of the authentication contract, held against any service over HTTP.

It knows nothing of this code base: ``contract.toml`` is data, and what runs it needs httpx and rich only.
"""
