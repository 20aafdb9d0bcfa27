"""Teams, their members, invitations and API keys over HTTP."""
