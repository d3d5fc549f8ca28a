//! Where `make release` has seen which functions run, lays them beside each other in the program: what never runs is then on pages
//! that no process holds.

use std::env;

fn main() {
    println!("cargo::rerun-if-env-changed=KINETIC_ORDER");
    let Ok(order) = env::var("KINETIC_ORDER") else { return };
    println!("cargo::rerun-if-changed={order}");
    for argument in
        [&format!("--symbol-ordering-file={order}"), "--no-warn-symbol-ordering", "-z,pack-relative-relocs"]
    {
        println!("cargo::rustc-link-arg-bin=kinetic=-Wl,{argument}");
    }
}
