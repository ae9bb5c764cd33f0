//! Starts the daemons under test and measures them.
