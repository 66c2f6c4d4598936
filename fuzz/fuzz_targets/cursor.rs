//! Any text as a cursor of a history: no panic, and what is admitted is exactly what the server writes.

#![no_main]

use asklake::store::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(cursor) = Cursor::decode(text) else { return };
    assert_eq!(cursor.encode(), text);
});
