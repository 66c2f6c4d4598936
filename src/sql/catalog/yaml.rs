//! Reads the YAML of catalogs and suites. Owns what an unquoted word means there: what people write as text stays text.

use serde_json::Value;

use super::Fault;

/// The document in `yaml`. Only `true` and `false` are booleans, so that a country `NO`, a column `n` and a size `on` are words; and a code
/// such as `007` keeps its zeros.
///
/// # Errors
/// The first thing that is no YAML.
pub fn read(yaml: &str) -> Result<Value, Fault> {
    let options = serde_saphyr::options! { strict_booleans: true, leading_zero_numbers_as_strings: true };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| Fault::whole(format!("not readable as YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn words_that_look_like_booleans_and_codes_that_look_like_numbers_stay_text() {
        let written = "[NO, y, n, on, off, yes, 08, 007, -01]";
        assert_eq!(read(written).unwrap(), json!(["NO", "y", "n", "on", "off", "yes", "08", "007", "-01"]));
    }

    #[test]
    fn booleans_and_numbers_stay_what_they_are() {
        let written = "[true, false, 0, 10, -3, 0.5, 2.50, null, '1', \"true\"]";
        assert_eq!(read(written).unwrap(), json!([true, false, 0, 10, -3, 0.5, 2.5, null, "1", "true"]));
    }
}
