"""A customer's own account: profile, address, security, devices, support visits, data."""
