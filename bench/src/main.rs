//! Benchmarks beside peers and raw limits: what `make bench` prints.
//!
//! Every figure is measured in this run, on this machine; a peer or a raw limit is measured beside it on the same bytes, since
//! only the ratio means something on another machine.

mod core_time;
mod decode;
mod median;
mod start;
mod stream;
mod table;
mod traffic;

fn main() -> anyhow::Result<()> {
    table::print_header();
    for row in decode::rows() {
        table::print(&row);
    }
    table::print(&stream::row()?);
    table::print(&start::row()?);
    Ok(())
}
