//! Speakers in one process, over loopback and without a kernel: with each
//! other, and with a peer that says what the test wants.

mod api;
mod apply;
mod ends;
mod graceful;
mod groups;
mod load;
mod peer;
mod refresh;
mod rig;
mod routes;
mod sessions;
mod timers;
mod views;
mod vrfs;
mod watching;
