//! Chance that can be had again: the seed is printed, and taken from `ASKLAKE_TEST_SEED` when that is set.

use std::{ops::Range, time::Duration};

/// A source of numbers (splitmix64).
#[derive(Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// A new seed, unless one is given.
    pub fn new() -> Self {
        let given = std::env::var("ASKLAKE_TEST_SEED").ok().map(|seed| seed.parse().expect("ASKLAKE_TEST_SEED is a number"));
        let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("ASKLAKE_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number within `range`.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        range.start + (mixed ^ (mixed >> 31)) % (range.end - range.start)
    }

    /// Milliseconds within `range`.
    pub fn milliseconds(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}
