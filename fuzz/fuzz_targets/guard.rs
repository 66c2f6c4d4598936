//! Any text to `Guard::admit`: no panic, no hang, and what is admitted is admitted again unchanged.

#![no_main]

use std::sync::LazyLock;

use asklake::sql::{Catalog, Guard};
use libfuzzer_sys::fuzz_target;

static GUARD: LazyLock<Guard> = LazyLock::new(|| {
    let catalog: Catalog = serde_saphyr::from_str(include_str!("../../tests/guard/catalog.yaml")).expect("the test catalog is valid");
    Guard::new(&catalog, 1_000)
});

/// The same tables with their columns, so that names are looked up.
static KNOWING: LazyLock<Guard> = LazyLock::new(|| Guard::new(&Catalog::embedded().expect("the embedded catalog is valid"), 1_000));

fuzz_target!(|sql: &str| {
    for guard in [&*GUARD, &*KNOWING] {
        if let Ok(admitted) = guard.admit(sql) {
            assert_eq!(guard.admit(&admitted.sql).as_ref(), Ok(&admitted));
            assert!(!admitted.sql.contains("${") && !admitted.sql.contains('\n'));
        }
    }
});
