//! The rules as a table: columns, rows and question on the left, the chart on the right.

use asklake::conversation::{Chart, LimitSource, ResultSet};
use serde_json::{Value, json};

use super::{assert_sound, result, sketch};

/// What stands in a column of generated rows.
#[derive(Clone, Copy)]
enum Cells {
    /// Years, each later than the one before.
    Years,
    /// `1990`, `2000`, …
    Decades,
    /// Days from 2024-01-01 on.
    Days,
    /// `2023-01`, `2023-02`, …
    Months,
    /// `2023-Q1`, …
    Quarters,
    /// Timestamps an hour apart.
    Hours,
    /// Numbers from 1 on.
    Counter,
    /// Whole numbers that neither rise nor fall, each another, none over 1,000.
    Numbers,
    /// Whole numbers, each smaller than the one before.
    Falling,
    /// Numbers of millions.
    Millions,
    /// Between 5 and 9, up and down.
    Ratings,
    /// Between 0 and 1.
    Fractions,
    /// 25 again and again.
    Quarter,
    /// Minute numbers.
    Tiny,
    /// From 1 to 10⁹.
    Wide,
    /// Every row a name of its own, of this length.
    Names(usize),
    /// So many names again and again.
    Cycle(usize),
    /// Each name so many times in a row.
    Runs(usize),
    /// Two of each, as numbers: years that repeat.
    YearsTwice,
    /// 1 to 12 again and again.
    MonthNumbers,
    /// The year of those months.
    YearOfMonth,
    /// `tt0000001`, …
    Codes,
    /// true, false, …
    Flags,
    /// One value.
    Same,
    /// Long texts.
    Prose,
    /// No value.
    Nulls,
    /// A number in every second row.
    Gaps,
    /// Below and above zero.
    Signed,
    /// An array.
    Lists,
    /// Numbers as texts, as decimals may come.
    NumberTexts,
}

impl Cells {
    fn at(self, n: usize) -> Value {
        let zigzag = (n * 37) % 101;
        match self {
            Self::Years => json!(1990 + n),
            Self::Decades => json!(1950 + 10 * n),
            Self::Days => json!(format!("2024-{:02}-{:02}", n / 28 + 1, n % 28 + 1)),
            Self::Months => json!(format!("{}-{:02}", 2020 + n / 12, n % 12 + 1)),
            Self::Quarters => json!(format!("{}-Q{}", 2020 + n / 4, n % 4 + 1)),
            Self::Hours => json!(format!("2024-03-{:02}T{:02}:00:00Z", n / 24 + 1, n % 24)),
            Self::Counter => json!(n + 1),
            Self::Numbers => json!(zigzag * 9 + 7),
            Self::Falling => json!(1000 - 3 * n),
            Self::Millions => json!(1_000_000 + zigzag * 91_337),
            Self::Ratings => json!(5.0 + (zigzag % 41) as f64 / 10.0),
            Self::Fractions => json!(zigzag as f64 / 101.0),
            Self::Quarter => json!(25),
            Self::Tiny => json!((zigzag + 1) as f64 * 1e-7),
            Self::Wide => json!(10_u64.pow(u32::try_from(zigzag % 10).unwrap())),
            Self::Names(length) => json!(format!("{}{n}", "name of a thing ".chars().cycle().take(length).collect::<String>())),
            Self::Cycle(of) => json!(format!("kind {}", n % of)),
            Self::Runs(of) => json!(format!("group {}", n / of)),
            Self::YearsTwice => json!(2000 + n / 2),
            Self::MonthNumbers => json!(n % 12 + 1),
            Self::YearOfMonth => json!(2022 + n / 12),
            Self::Codes => json!(format!("tt{:07}", n * 31 + 5)),
            Self::Flags => json!(n.is_multiple_of(2)),
            Self::Same => json!("always"),
            Self::Prose => json!(format!("{n} {}", "a text that goes on and on ".repeat(8))),
            Self::Nulls => json!(null),
            Self::Gaps => {
                if n.is_multiple_of(2) {
                    json!(zigzag)
                } else {
                    json!(null)
                }
            }
            Self::Signed => json!(zigzag as i64 - 50),
            Self::Lists => json!(["a", n]),
            Self::NumberTexts => json!(format!("{}.50", zigzag)),
        }
    }
}

use Cells::*;

fn rows(columns: &[(&str, Cells)], count: usize) -> ResultSet {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    result(&names, (0..count).map(|row| columns.iter().map(|(_, cells)| cells.at(row)).collect()).collect())
}

type Case = (&'static str, &'static [(&'static str, Cells)], usize, &'static str);

#[track_caller]
fn assert_choices(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (question, columns, count, expected) in cases {
        let result = rows(columns, *count);
        let chart = Chart::of(question, 1, &result);
        if let Some(chart) = &chart {
            assert_sound(chart, &result);
        }
        let found = sketch(chart.as_ref());
        if found != *expected {
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            wrong.push(format!("{question:?} {names:?} × {count}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn times_and_measures_give_lines() {
    assert_choices(&[
        ("Orders per year", &[("year:int", Years), ("orders:bigint", Numbers)], 10, "line x=year y=orders"),
        ("Orders per decade", &[("decade:int", Decades), ("count(1):bigint", Numbers)], 7, "line x=decade y=column_2"),
        ("Orders per day", &[("day:date", Days), ("orders:bigint", Numbers)], 30, "line x=day:time y=orders"),
        ("Load per hour", &[("at:timestamp", Hours), ("load:double", Ratings)], 48, "line x=at:time y=load"),
        ("Orders per month", &[("month:string", Months), ("orders:bigint", Numbers)], 24, "line x=month:time y=orders"),
        ("Orders per quarter", &[("quarter:string", Quarters), ("orders:bigint", Numbers)], 8, "line x=quarter:step y=orders"),
        ("Orders by month of the year", &[("month:int", MonthNumbers), ("orders:bigint", Numbers)], 12, "line x=month:step y=orders"),
        (
            "Orders per month and year",
            &[("year:int", YearOfMonth), ("month:int", MonthNumbers), ("orders:bigint", Numbers)],
            36,
            "line x=month:step y=orders color=year:step",
        ),
        (
            "Orders per year and region",
            &[("year:int", YearsTwice), ("region:string", Cycle(2)), ("orders:bigint", Numbers)],
            20,
            "line x=year y=orders color=region",
        ),
        (
            "Lowest and highest price per year",
            &[("year:int", Years), ("min_price:double", Ratings), ("max_price:double", Ratings)],
            10,
            "line x=year y=value color=series",
        ),
        (
            "Orders and price per year",
            &[("year:int", Years), ("orders:bigint", Millions), ("avg_price:double", Ratings)],
            10,
            "line row=series x=year y=value",
        ),
        (
            "Best product of each year",
            &[("year:int", Years), ("product:string", Names(8)), ("score:double", Ratings)],
            10,
            "line x=year y=score",
        ),
        ("Orders per year", &[("year:int", Years), ("orders:bigint", Gaps)], 10, "line x=year y=orders"),
        ("Revenue per year", &[("year:string", Years), ("revenue:decimal(10,2)", NumberTexts)], 1, "none"),
        ("Revenue per year", &[("year:int", Years), ("revenue:decimal(10,2)", NumberTexts)], 9, "line x=year y=revenue"),
        // Two points are no line.
        ("2023 or 2024?", &[("year:int", Years), ("orders:bigint", Numbers)], 2, "bar x=year:step y=orders"),
        // Years that repeat with nothing to tell them apart are a cloud.
        ("Prices over the years", &[("year:int", YearsTwice), ("price:double", Ratings)], 40, "point x=year y=price"),
        ("Prices over the years", &[("year:int", YearsTwice), ("price:double", Ratings)], 10, "none"),
        // A line for each of forty customers could not be told apart.
        (
            "Orders per year and customer",
            &[("year:int", YearsTwice), ("customer:string", Cycle(40)), ("orders:bigint", Numbers)],
            80,
            "point x=year y=orders",
        ),
    ]);
}

#[test]
fn categories_and_measures_give_bars() {
    assert_choices(&[
        ("Orders per region", &[("region:string", Names(2)), ("orders:bigint", Numbers)], 5, "bar x=region y=orders"),
        ("Orders per region", &[("region:string", Names(20)), ("orders:bigint", Numbers)], 5, "bar x=orders y=region"),
        ("Orders per region", &[("region:string", Names(2)), ("orders:bigint", Numbers)], 20, "bar x=orders y=region"),
        ("Orders per customer", &[("customer:string", Names(9)), ("orders:bigint", Numbers)], 31, "none"),
        ("Plot orders per customer", &[("customer:string", Names(9)), ("orders:bigint", Numbers)], 31, "bar x=orders y=customer"),
        // What the rows are sorted by is what is asked, and the year of a thing is no axis.
        (
            "Top 10 products",
            &[("product:string", Names(9)), ("year:int", Years), ("score:double", Ratings), ("sales:bigint", Falling)],
            10,
            "bar x=sales y=product",
        ),
        // Also where some were made in the same year: they are things still, and no series.
        (
            "Top 6 products",
            &[("product:string", Names(20)), ("year:int", YearsTwice), ("sales:bigint", Falling)],
            6,
            "bar x=sales y=product",
        ),
        (
            "Best products by score",
            &[("product:string", Names(9)), ("sales:bigint", Numbers), ("score:double", Ratings)],
            10,
            "bar x=score y=product",
        ),
        ("Paid or not", &[("paid:boolean", Flags), ("orders:bigint", Numbers)], 2, "bar x=paid y=orders"),
        (
            "Orders by region and kind",
            &[("region:string", Runs(3)), ("kind:string", Cycle(3)), ("orders:bigint", Numbers)],
            15,
            "bar x=region y=orders:stack color=kind",
        ),
        (
            "Average price by region and kind",
            &[("region:string", Runs(3)), ("kind:string", Cycle(3)), ("avg_price:double", Ratings)],
            15,
            "bar x=region y=avg_price xOffset=kind color=kind",
        ),
        // What a name does not say to be a count or a sum is not added up.
        (
            "Pay by team and sex",
            &[("team:string", Runs(3)), ("sex:string", Cycle(3)), ("pay:int", Numbers)],
            15,
            "bar x=team y=pay xOffset=sex color=sex",
        ),
        (
            "Longest film by genre and country",
            &[("genre:string", Runs(3)), ("country:string", Cycle(3)), ("longest_minutes:int", Numbers)],
            15,
            "bar x=genre y=longest_minutes xOffset=country color=country",
        ),
        (
            "Minutes in all by genre and country",
            &[("genre:string", Runs(3)), ("country:string", Cycle(3)), ("total_minutes:bigint", Numbers)],
            15,
            "bar x=genre y=total_minutes:stack color=country",
        ),
        (
            "Price range",
            &[("region:string", Names(2)), ("min_price:double", Ratings), ("max_price:double", Ratings)],
            6,
            "bar x=region y=value xOffset=series color=series",
        ),
        ("Change per region", &[("region:string", Names(2)), ("change:double", Signed)], 6, "bar x=region y=change"),
        ("Size", &[("part:string", Names(2)), ("mass:double", Tiny)], 6, "bar x=part y=mass"),
        (
            "Orders per region",
            &[("region:string", Names(2)), ("country:string", Same), ("orders:bigint", Numbers)],
            5,
            "bar x=region y=orders",
        ),
        // Repeated, and nothing says why.
        ("Orders", &[("region:string", Cycle(3)), ("orders:bigint", Numbers)], 9, "none"),
    ]);
}

#[test]
fn shares_are_drawn_as_shares_and_as_a_pie_only_where_asked() {
    const REGIONS: &[(&str, Cells)] = &[("region:string", Names(2)), ("orders:bigint", Falling)];
    assert_choices(&[
        ("What share of orders has each region?", REGIONS, 5, "bar x=region y=value:%"),
        ("Anteil der Bestellungen je Region", REGIONS, 5, "bar x=region y=value:%"),
        (
            "What percentage is of each kind?",
            &[("region:string", Runs(3)), ("kind:string", Cycle(3)), ("orders:bigint", Numbers)],
            15,
            "bar x=region y=orders:normalize:% color=kind",
        ),
        ("Share per region", &[("region:string", Names(2)), ("share:double", Fractions)], 5, "bar x=region y=share:%"),
        ("Share of the average", &[("region:string", Names(2)), ("avg_price:double", Ratings)], 5, "bar x=region y=avg_price"),
        ("Orders per region as a pie chart", REGIONS, 5, "arc theta=orders color=region"),
        ("Bestellungen je Region als Kreisdiagramm", REGIONS, 5, "arc theta=orders color=region"),
        (
            "Share per region as a pie chart",
            &[("region:string", Names(2)), ("percentage:int", Quarter)],
            4,
            "arc theta=percentage color=region",
        ),
        // Averages make no whole.
        (
            "Average runtimes as a pie chart",
            &[("genre:string", Names(2)), ("average_runtime:int", Falling)],
            5,
            "bar x=genre y=average_runtime",
        ),
        // To share is not to have a share.
        ("Which regions share the most orders with North?", REGIONS, 5, "bar x=region y=orders"),
        // Too many slices, and parts below zero.
        ("Orders per region as a pie chart", REGIONS, 12, "bar x=orders y=region"),
        ("Change per region as a pie chart", &[("region:string", Names(2)), ("change:bigint", Signed)], 5, "bar x=region y=change"),
    ]);
    let mut top = rows(REGIONS, 5);
    top.limit_source = Some(LimitSource::Model);
    let chart = Chart::of("What share of orders has each region?", 1, &top);
    assert_eq!(sketch(chart.as_ref()), "bar x=region y=orders", "the first five are not the whole");
}

#[test]
fn slices_are_told_their_share_only_of_a_whole_that_is_there() {
    let mut regions = rows(&[("region:string", Names(2)), ("orders:bigint", Falling)], 3);
    for (limit, titles) in [(LimitSource::Server, vec!["Region", "Orders", "Share"]), (LimitSource::Model, vec!["Region", "Orders"])] {
        regions.limit_source = Some(limit);
        let chart = Chart::of("Orders per region as a pie chart", 1, &regions).unwrap();
        assert_sound(&chart, &regions);
        let told = chart.specification()["encoding"]["tooltip"].as_array().unwrap();
        assert_eq!(told.iter().map(|part| part["title"].as_str().unwrap()).collect::<Vec<_>>(), titles, "{limit:?}");
    }
}

#[test]
fn weeks_stand_in_the_order_of_time() {
    let weeks = result(&["week:string", "orders:bigint"], (1..=14).rev().map(|n| vec![json!(format!("2024-W{n}")), json!(n)]).collect());
    let chart = Chart::of("Orders per week", 1, &weeks).unwrap();
    assert_sound(&chart, &weeks);
    assert_eq!(sketch(Some(&chart)), "line x=week:step y=orders");
    let spec = chart.specification();
    assert_eq!(spec["encoding"]["x"]["sort"], "ascending");
    let mut points = spec["data"]["values"].as_array().unwrap().clone();
    points.sort_by_key(|point| point["week"].as_str().unwrap().to_owned());
    let orders: Vec<i64> = points.iter().map(|point| point["orders"].as_i64().unwrap()).collect();
    assert_eq!(orders, (1..=14).collect::<Vec<_>>());
}

#[test]
fn bars_over_times_within_one_minute_stay_apart() {
    for (second, unit, format) in
        [(0, "yearmonthdatehoursminutes", "%Y-%m-%d %H:%M"), (20, "yearmonthdatehoursminutesseconds", "%Y-%m-%d %H:%M:%S")]
    {
        let at = |minute: u32, second: u32| json!(format!("2024-03-01T10:{minute:02}:{second:02}Z"));
        let minute = u32::from(second == 0);
        let calls = result(&["at:timestamp", "calls:bigint"], vec![vec![at(0, 0), json!(5)], vec![at(minute, second), json!(6)]]);
        let chart = Chart::of("Calls as a bar chart", 1, &calls).unwrap();
        assert_sound(&chart, &calls);
        assert_eq!(sketch(Some(&chart)), "bar x=at:step y=calls");
        let x = &chart.specification()["encoding"]["x"];
        assert_eq!((&x["timeUnit"], &x["axis"]["format"]), (&json!(unit), &json!(format)));
    }
}

#[test]
fn a_comparison_over_time_is_no_relation_of_measures() {
    const KINDS: &[(&str, Cells)] = &[("year:int", YearsTwice), ("kind:string", Cycle(2)), ("orders:bigint", Numbers)];
    const PAIR: &[(&str, Cells)] = &[("price:double", Ratings), ("weight:double", Numbers)];
    const PRODUCTS: &[(&str, Cells)] = &[("product:string", Names(9)), ("price:double", Ratings), ("weight:bigint", Numbers)];
    const DATED: &[(&str, Cells)] = &[("year:int", Years), ("price:double", Ratings), ("weight:double", Numbers)];
    assert_choices(&[
        ("Bolts vs nuts, orders per year", KINDS, 20, "line x=year y=orders color=kind"),
        (
            "Bolts versus nuts per year",
            &[("year:int", Years), ("bolts:bigint", Numbers), ("nuts:bigint", Numbers)],
            10,
            "line x=year y=value color=series",
        ),
        ("Price vs weight per year", DATED, 10, "line row=series x=year y=value"),
        ("How do orders depend on the year?", &[("year:int", Years), ("orders:bigint", Numbers)], 10, "line x=year y=orders"),
        ("Bolts vs nuts", PRODUCTS, 25, "bar x=price y=product"),
        // Two measures that are named, or all there is.
        ("Is there a correlation between price and weight over the years?", DATED, 10, "point x=price y=weight"),
        ("Price vs weight", PRODUCTS, 25, "point x=price y=weight"),
        ("One versus the other", PAIR, 5, "point x=price y=weight"),
    ]);
}

#[test]
fn measures_alone_give_clouds_and_distributions_where_they_are_meant() {
    const TWO: &[(&str, Cells)] = &[("price:double", Ratings), ("weight:double", Numbers)];
    const PRODUCTS: &[(&str, Cells)] = &[("product:string", Names(9)), ("price:double", Ratings), ("weight:bigint", Numbers)];
    const BUCKETS: &[(&str, Cells)] = &[("price:int", Counter), ("n:bigint", Numbers)];
    assert_choices(&[
        ("Prices and weights", TWO, 50, "point x=price y=weight"),
        ("Prices and weights", TWO, 5, "none"),
        ("Is there a correlation between price and weight?", TWO, 5, "point x=price y=weight"),
        ("Is there a correlation between price and weight?", PRODUCTS, 25, "point x=price y=weight"),
        ("Products", PRODUCTS, 50, "point x=price y=weight"),
        ("Gibt es einen Zusammenhang?", &[("price:double", Wide), ("weight:double", Numbers)], 30, "point x=price:log y=weight"),
        (
            "price vs weight by kind",
            &[("kind:string", Cycle(3)), ("price:double", Ratings), ("weight:double", Numbers)],
            30,
            "point x=price y=weight color=kind",
        ),
        ("How are prices distributed?", &[("price:double", Ratings)], 100, "bar x=price:bins y=count"),
        ("How are prices distributed?", &[("price:double", Ratings)], 5, "none"),
        ("Prices", &[("price:double", Ratings)], 100, "none"),
        ("Distribution of prices", PRODUCTS, 60, "bar x=price:bins y=count"),
        ("Distribution of prices", BUCKETS, 10, "bar x=price:step y=n"),
        ("How many products cost how much?", BUCKETS, 10, "bar x=price:step y=n"),
    ]);
    let mut some = rows(&[("price:double", Ratings)], 100);
    some.truncated = true;
    assert_eq!(Chart::of("How are prices distributed?", 1, &some), None, "the first rows say nothing of all");
}

#[test]
fn what_no_chart_says_better_has_none() {
    assert_choices(&[
        ("How many orders?", &[("count(1):bigint", Numbers)], 1, "none"),
        ("Facts of one product", &[("product:string", Names(9)), ("price:double", Ratings), ("weight:double", Numbers)], 1, "none"),
        ("Plot nothing", &[("orders:bigint", Numbers)], 0, "none"),
        ("Names", &[("product:string", Names(9)), ("region:string", Cycle(3))], 20, "none"),
        ("Notes", &[("note:string", Prose), ("orders:bigint", Numbers)], 5, "none"),
        ("Nothing known", &[("region:string", Names(2)), ("orders:bigint", Nulls)], 5, "none"),
        ("Tags", &[("tags:array<string>", Lists), ("orders:bigint", Numbers)], 5, "none"),
        ("When", &[("day:date", Days), ("product:string", Names(9))], 5, "none"),
        // Neither identifiers nor ranks nor places are quantities or names.
        ("Codes", &[("code:string", Codes), ("orders:bigint", Numbers)], 5, "none"),
        ("Customers", &[("customer_id:string", Names(4)), ("orders:bigint", Numbers)], 5, "none"),
        ("Customers", &[("region:string", Names(2)), ("customerId:bigint", Numbers)], 5, "none"),
        ("Ranks", &[("region:string", Names(2)), ("rank:int", Counter)], 5, "none"),
        ("Places", &[("latitude:double", Ratings), ("longitude:double", Ratings)], 50, "none"),
        ("Years", &[("region:string", Names(2)), ("founding_year:int", Years)], 5, "none"),
        ("Ranked", &[("rank:bigint", Counter), ("region:string", Names(2)), ("orders:bigint", Falling)], 5, "bar x=region y=orders"),
        ("Titles", &[("code:string", Codes), ("product:string", Names(9)), ("orders:bigint", Falling)], 5, "bar x=product y=orders"),
    ]);
}

#[test]
fn a_shape_that_is_asked_for_is_drawn_where_the_rows_allow_it() {
    const YEARS: &[(&str, Cells)] = &[("year:int", Years), ("orders:bigint", Numbers)];
    const REGIONS: &[(&str, Cells)] = &[("region:string", Names(2)), ("orders:bigint", Numbers)];
    assert_choices(&[
        ("Orders per year as a bar chart", YEARS, 10, "bar x=year:step y=orders"),
        ("Bestellungen je Jahr als Balkendiagramm", YEARS, 10, "bar x=year:step y=orders"),
        ("Orders per day as a bar chart", &[("day:date", Days), ("orders:bigint", Numbers)], 14, "bar x=day:step y=orders"),
        ("An area chart of orders per year", YEARS, 10, "area x=year y=orders"),
        (
            "Area chart of orders per year and region",
            &[("year:int", YearsTwice), ("region:string", Cycle(2)), ("orders:bigint", Numbers)],
            20,
            "area x=year y=orders:stack color=region",
        ),
        // Areas would add up what is no sum.
        (
            "Area chart of average prices per year and region",
            &[("year:int", YearsTwice), ("region:string", Cycle(2)), ("avg_price:double", Ratings)],
            20,
            "line x=year y=avg_price color=region",
        ),
        (
            "Area chart of the lowest and highest price per year",
            &[("year:int", Years), ("min_price:double", Ratings), ("max_price:double", Ratings)],
            10,
            "line x=year y=value color=series",
        ),
        ("Area chart of average prices per year", &[("year:int", Years), ("avg_price:double", Ratings)], 10, "area x=year y=avg_price"),
        ("Orders per region as a line chart", REGIONS, 5, "line x=region y=orders"),
        (
            "A scatter plot of price and weight",
            &[("product:string", Names(9)), ("price:double", Ratings), ("weight:double", Numbers)],
            10,
            "point x=price y=weight",
        ),
        ("A histogram of prices", &[("product:string", Names(9)), ("price:double", Ratings)], 12, "bar x=price:bins y=count"),
        // Nothing to draw it from: what the rows are good for.
        ("Orders per region as a scatter plot", REGIONS, 5, "bar x=region y=orders"),
        ("Orders per year as a pie chart", YEARS, 20, "line x=year y=orders"),
        ("Orders per year, no chart please", YEARS, 10, "none"),
        ("Pedidos por año, sin gráfico", YEARS, 10, "none"),
        ("按年份统计订单，不要图表", YEARS, 10, "none"),
    ]);
}

#[test]
fn a_chart_of_too_many_points_is_none() {
    let many = rows(&[("at:timestamp", Hours), ("a:double", Ratings)], 700);
    let chart = Chart::of("Load", 1, &many);
    assert!(chart.is_none_or(|chart| chart.specification().to_string().len() <= 32 * 1024));
    let long = rows(&[("product:string", Names(60)), ("price:double", Ratings), ("weight:double", Numbers)], 500);
    let chart = Chart::of("correlation of price and weight", 1, &long);
    assert_eq!(sketch(chart.as_ref()), "point x=price y=weight", "names that do not fit are left out");
    assert!(chart.is_some_and(|chart| chart.specification()["data"]["values"][0].get("product").is_none()));
}

#[test]
fn texts_of_rows_and_names_of_columns_stay_texts() {
    let hostile = ["datum.constructor('x')()", "<script>alert(1)</script>", "{\"expr\": \"1\"}", "\u{1b}[31m"];
    let columns = ["a['b'].c\\d \"e\":string", "__proto__:bigint"];
    let result = result(&columns, hostile.iter().enumerate().map(|(n, text)| vec![json!(text), json!(n + 1)]).collect());
    let chart = Chart::of("which?", 3, &result).unwrap();
    assert_sound(&chart, &result);
    assert_eq!(sketch(Some(&chart)), "bar x=column_2 y=column_1");
    let spec = chart.specification();
    assert_eq!(spec["data"]["values"][0], json!({"column_1": hostile[0], "column_2": 1}));
    assert_eq!(spec["data"]["values"][3]["column_1"], " [31m", "no control characters");
    assert_eq!(spec["usermeta"]["query"], 3);
}

#[test]
fn a_truncated_result_is_drawn_with_a_note() {
    let mut some = rows(&[("year:int", Years), ("orders:bigint", Numbers)], 20);
    some.truncated = true;
    let chart = Chart::of("Orders per year", 1, &some).unwrap();
    assert_eq!(chart.specification()["title"]["subtitle"], "The first 20 rows; there are more.");
    assert_sound(&chart, &some);
}
