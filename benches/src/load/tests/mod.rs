mod direct;
mod tables;
mod wire;
