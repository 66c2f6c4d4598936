//! Which Spark SQL runs on the local Sail.
