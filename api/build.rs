//! Compiles the API's description with a compiler written in Rust, so that a
//! build needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/holdfast.proto");
    let descriptors = protox::compile(["holdfast.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
