"""What ours is held against: the least that does the same work, and the way it is usually done."""
