//! The catalog: the shipped one is right, and a wrong one is told everything that is wrong with it.

use asklake::sql::{Catalog, Guard};

use crate::support::embedded::TABLES;

fn faults(yaml: &str) -> Vec<String> {
    Catalog::parse(yaml).expect_err("the catalog has faults").iter().map(ToString::to_string).collect()
}

#[test]
fn the_embedded_catalog_is_valid_and_its_queries_pass_the_guard() {
    let catalog = Catalog::embedded().unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(catalog.queries.len() >= 10);
    for name in TABLES {
        assert!(catalog.relation(name).is_some(), "{name}");
    }
    let guard = Guard::new(&catalog, 1000);
    let refused = catalog.check_queries(|sql| guard.admit(sql).map(drop).map_err(|refusal| refusal.reason));
    assert_eq!(refused, []);
}

#[test]
fn refusals_of_the_guard_become_faults_of_the_query() {
    let catalog = Catalog::embedded().unwrap();
    let refused = catalog.check_queries(|sql| if sql.contains("titanic") { Err("no ships".into()) } else { Ok(()) });
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].to_string(), "queries[11].sql: the guard refuses it: no ships");
}

#[test]
fn profiles_replace_parameters() {
    let catalog = Catalog::embedded().unwrap();
    assert_eq!(catalog.fill("{top_rated_min_votes} votes"), "25000 votes");
    let few = |_: &str| Some(3_000);
    let many = |_: &str| Some(15_000_000);
    assert_eq!(catalog.profile_for(few), Some("sample"));
    assert_eq!(catalog.profile_for(many), None);
    assert_eq!(catalog.profile_for(|_| None), None);
    assert_eq!(catalog.clone().in_profile("sample").unwrap().fill("{top_rated_min_votes}"), "1000");
    let unknown = catalog.in_profile("simple").unwrap_err().to_string();
    assert_eq!(unknown, "the catalog has no profile `simple`; its profiles are: sample");
}

#[test]
fn every_fault_is_reported_at_once_with_its_line() {
    let yaml = "\
name: shop
parameters: {least: 5}
profiles:
  small:
    when: {table: shop.product, rows_below: 10}
    parameters: {leest: 1}
tables:
  - name: shop.products
    description: Products.
    primary_key: [skuu]
    columns:
      - name: sku
        type: strng
        description: Identity.
      - name: sku
        type: string
        description: Again.
views:
  - name: shop.cheap
    description: Cheap ones.
    columns:
      - {name: sku, type: string, description: Identity.}
    sql: SELEC sku FROM shop.products
joins:
  - {from: shop.products.sku, to: shop.reviews.sku, kind: one_to_one}
rules:
  - at least {lest} pieces
queries:
  - question: All
    sql: SELECT 1; SELECT 2
";
    assert_eq!(
        faults(yaml),
        [
            "line 10: tables[0].primary_key[0]: `shop.products` has no column `skuu`; did you mean `sku`?",
            "line 13: tables[0].columns[0].type: `strng` is no Spark SQL type in lower case; did you mean `string`?",
            "line 15: tables[0].columns[1].name: `sku` is described twice",
            "line 25: joins[0].to: `shop.reviews` is no table or view of the catalog; there is `shop.products`, `shop.cheap`",
            "line 5: profiles.small.when.table: `shop.product` is no table or view of the catalog; did you mean `shop.products`?",
            "line 6: profiles.small.parameters.leest: `leest` is not under /parameters; did you mean `least`?",
            "line 27: rules[0]: `lest` is not under /parameters; did you mean `least`?",
            "line 23: views[0].sql: cannot be read as Databricks SQL: sql parser error: Expected: an SQL statement, found: SELEC at Line: 1, Column: 1",
            "line 30: queries[0].sql: must be one statement, not 2",
        ]
        .map(str::to_owned)
        .to_vec()
        .sorted_like(&faults(yaml))
    );
}

/// Compares as sets: the order of faults is no promise.
trait SortedLike {
    fn sorted_like(self, other: &[String]) -> Vec<String>;
}

impl SortedLike for Vec<String> {
    fn sorted_like(mut self, other: &[String]) -> Vec<String> {
        self.sort_by_key(|fault| other.iter().position(|known| known == fault));
        self
    }
}

#[test]
fn unknown_keys_are_faults_with_the_nearest_known_key() {
    let yaml = "\
name: shop
tabels: []
tables:
  - name: shop.products
    descripton: Products.
    description: Products.
    columns:
      - {name: sku, type: string, description: Identity., exampels: [1]}
";
    let mut found = faults(yaml);
    found.sort();
    assert_eq!(
        found,
        [
            "line 2: tabels: unknown key `tabels`; did you mean `tables`?".to_owned(),
            "line 5: tables[0].descripton: unknown key `descripton`; did you mean `description`?".to_owned(),
            "line 8: tables[0].columns[0].exampels: unknown key `exampels`; did you mean `examples`?".to_owned(),
        ]
    );
}

#[test]
fn unquoted_names_and_examples_that_look_like_booleans_or_numbers_are_text() {
    let yaml = "\
name: shop
tables:
  - name: shop.sales
    description: Sales.
    columns:
      - {name: n, type: string, description: Country., examples: [NO, y, on, off, 08]}
      - {name: paid, type: boolean, description: Whether it is paid., examples: [true, false]}
";
    let catalog = Catalog::parse(yaml).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let columns = &catalog.relation("shop.sales").unwrap().columns;
    assert_eq!(columns[0].name, "n");
    assert_eq!(columns[0].examples, ["NO", "y", "on", "off", "08"].map(serde_json::Value::from));
    assert_eq!(columns[1].examples, [true, false].map(serde_json::Value::from));
}

#[test]
fn broken_yaml_is_one_fault_that_says_where() {
    let found = faults("name: x\ntables: [");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("not readable as YAML"), "{found:?}");
    assert!(found[0].contains("line"), "{found:?}");
}

#[test]
fn the_planner_section_is_checked_against_the_tables() {
    let good = include_str!("../planner/shop.yaml");
    assert!(Catalog::parse(good).is_ok(), "{:#?}", Catalog::parse(good));
    for (right, wrong, fault) in [
        (
            "key: sku\n    name: label",
            "key: skuu\n    name: label",
            "planner.entity.key: `shop.products` has no column `skuu`; did you mean `sku`?",
        ),
        ("column: stars", "column: stras", "`shop.reviews` has no column `stras`; did you mean `stars`?"),
        ("tie_break: reviews", "tie_break: revews", "`revews` is no measure; did you mean `reviews`?"),
        ("parameter: best_min_reviews", "parameter: best_min", "`best_min` is not under /parameters"),
        ("alias: v, key", "alias: p, key", "the alias `p` is used twice"),
        ("role: part", "role: parts", "`shop.made_by` has no column `parts`; did you mean `part`?"),
    ] {
        assert!(good.contains(right), "{right}");
        let found = faults(&good.replace(right, wrong));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains(fault), "{found:?} does not say {fault}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let faults = Catalog::load(std::path::Path::new("/nowhere/catalog.yaml")).unwrap_err();
    assert!(faults[0].to_string().contains("/nowhere/catalog.yaml"));
}
