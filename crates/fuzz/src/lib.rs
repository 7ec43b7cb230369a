//! What the fuzz targets do: each takes bytes, makes a sequence of inputs of them, and
//! asserts what must hold whatever the inputs are.
//!
//! This crate is *not* the fuzzer. The package in `fuzz/` gives these functions to
//! libFuzzer; `tests/corpora.rs` gives them the committed inputs with the stable compiler.
//!
//! Invariants: a target depends on its bytes alone, and panics exactly if a rule is broken.

mod candidates;
mod driver;
mod mesh;
mod people;
mod room;
mod said;
mod server;
mod session;
mod tokens;
mod wire;
mod world;

pub use candidates::candidates;
pub use mesh::mesh_input;
pub use room::room_input;
pub use session::session_input;
pub use wire::{wire_client, wire_server};

/// A target: its name, which is also that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 6] = [
    ("wire_client", wire_client),
    ("wire_server", wire_server),
    ("session_input", session_input),
    ("room_input", room_input),
    ("mesh_input", mesh_input),
    ("candidates", candidates),
];

/// Reads steps off the front of `data` until it is used up, `limit` at most.
fn steps<'a, T: arbitrary::Arbitrary<'a>>(
    data: &'a [u8],
    limit: usize,
) -> impl Iterator<Item = T> + 'a {
    let mut input = arbitrary::Unstructured::new(data);
    let next = move || if input.is_empty() { None } else { T::arbitrary(&mut input).ok() };
    std::iter::from_fn(next).take(limit)
}
