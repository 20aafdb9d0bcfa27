"""Languages of what people read: pages and mails. What an API answers stays English."""
