"""Teams: members, invitations, API keys, and what happens to the team itself."""
