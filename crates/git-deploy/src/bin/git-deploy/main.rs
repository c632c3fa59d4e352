//! One deployment.
fn main() {}
