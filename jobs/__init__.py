"""When it happens: the timetable, the clock and the worker."""
