//! A generator of BGP load: many sessions, one thread, exact completion.
