// The atlas; see `atlas/`.
