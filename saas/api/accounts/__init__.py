"""The authentication contract over HTTP. Product and Parity both serve it: no rule is written twice."""
