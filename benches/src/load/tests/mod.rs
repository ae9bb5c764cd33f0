mod backlog;
mod direct;
mod tables;
mod wire;
