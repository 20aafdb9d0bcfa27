// Links of earlier mails carry the token in the fragment, which reaches no server.
"use strict";

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) location.replace(`${location.pathname}?${new URLSearchParams({ token })}`);
