"""What people are shown: badges, runs, stories, reports, the grid and forms; a view changes nothing."""
