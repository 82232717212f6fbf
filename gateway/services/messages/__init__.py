"""Partners' notifications, stored first and applied afterwards."""
