"""The pages that customers use: HTML on the same actions, bodies and limits as the API. ``FRONT_PAGES=off`` takes them away."""
