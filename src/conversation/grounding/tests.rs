//! Answers as models give them, in several languages, over the same few rows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Evidence, unverified};
use crate::conversation::result::{Column, ResultSet};

fn result(columns: &[&str], rows: Vec<Vec<Value>>) -> ResultSet {
    let columns = columns.iter().map(|name| Column { name: (*name).into(), data_type: "string".into() }).collect();
    let row_count = rows.len() as u64;
    ResultSet { columns, rows, row_count, truncated: false, limit_source: None }
}

fn films() -> ResultSet {
    result(
        &["primaryTitle", "startYear", "averageRating", "numVotes", "share"],
        vec![
            vec![json!("Alien"), json!(1979), json!(8.5), json!(1_010_001), json!(0.45)],
            vec![json!("2001: A Space Odyssey"), json!(1968), json!(8.3333), json!(1_234_567), json!(0.3)],
            vec![json!("Amélie"), json!(2001), json!(8.1), json!(25_000), json!(-3)],
            vec![json!("Spider-Man 2"), json!(2004), json!(7.5), json!(3_000), json!(0.125)],
            vec![json!("七人の侍"), json!(1954), json!(8.6), json!(374_000), json!(12)],
        ],
    )
}

const SAID: [&str; 2] = [
    "Which are the top 10 films of the 1980s by rating?",
    "SELECT primaryTitle FROM f WHERE titleType = 'movie' AND startYear >= 1980 AND startYear < 1990 AND numVotes >= 777 LIMIT 10",
];

/// Answers that nobody may object to.
const GROUNDED: &[&str] = &[
    "",
    "I found nothing.",
    "**Alien** (1979) is rated 8.5 by 1,010,001 people.",
    "Alien has 1010001 votes.",
    "Alien hat 1.010.001 Stimmen und 8,5 Punkte.",
    "Alien a 1 010 001 votes.",
    "Alien a 1\u{202f}010\u{202f}001 votes, note 8,5/10.",
    "Alien: 1'010'001 Stimmen",
    "2001: A Space Odyssey has 1.2 million votes.",
    "„2001: A Space Odyssey“ hat 1,23 Mio. Stimmen.",
    "Spider-Man 2 has 3k votes.",
    "Spider-Man 2 has 3 thousand votes.",
    "Its rating is 8.33.",
    "Its rating is 8.3, or 8 rounded.",
    "The share is 45 %.",
    "The share is 45%.",
    "La part est de 45 pour cent.",
    "The share is 12.5 %, or 0.125.",
    "It fell by 3, that is −3 or -3.",
    "It costs $25,000 or 25.000 €.",
    "Films of the 1980s",
    "Filme der 1980er Jahre",
    "the '80s and the 80s",
    "1980年代の映画",
    "Films from 1980 to 1989",
    "Films from 1980–1989",
    "Films from 1980–89",
    "The 10 best films are:",
    "There are 5 films.",
    "1. Alien\n2. Amélie\n3. Spider-Man 2",
    "1) Alien\n2) Amélie",
    "**1.** Alien\n**2.** Amélie",
    "1. first\n2. second\n3. third\n4. fourth\n5. fifth\n6. sixth\n7. seventh",
    "| # | Title |\n|---|---|\n| 1 | Alien |\n| 2 | Amélie |",
    "Amélie is 3rd and Alien #1, No. 2 is Amélie.",
    "第3位はアメリです。",
    "With at least 777 votes.",
    "Its votes: ١٬٠١٠٬٠٠١",
    "التقييم ٨٫٥ والسنة ١٩٧٩",
    "في عام 1979 صدر فيلم «Alien».",
    "वर्ष १९७९",
    "１９７９年の映画「七人の侍」",
    "「七人の侍」は1954年、評価8.6です。",
    "37万4000票",
    "37.4万票",
    "“Amelie” came out in 2001.",
    "\"spiderman 2\" and \"SPIDER MAN 2\"",
    "«Amélie», ‹Alien› und »Alien«",
    "The film 'Alien' is from 1979.",
    "*Alien* and _Amélie_ and __Alien__",
    "**Alien (1979)** and **Alien and Amélie**",
    "**Rating:** 8.5",
    "**Director**: unknown",
    "**Average rating** is 8.5",
    "**5 films**",
    "**Total**: 5",
    "the word \"star\" in the title",
    "Run `SELECT 4711` again.",
    "```sql\nSELECT 4711 FROM x LIMIT 99\n```",
    "See [the page](https://example.org/4711).",
    "Tom &amp; Jerry&#39;s",
    "8.5 - 8.1 = 0.4",
    "The difference is 8.5 − 8.1 = **0.4**.",
    "The difference is 0.4 (8.5 - 8.1 = 0.4).",
    "8.5 (Alien) - 8.1 (Amélie) = 0.4 points",
    "3,000 + 25,000 = 28,000 votes",
    "(8.5 + 8.1 + 7.5) / 3 = 8.03",
    "3,000 / 25,000 = 12 %",
    "3.000 × 5 = 15.000",
    "2001 - 1979 = 22 years",
    "Over 1,000,000 votes, about 370,000 for the last.",
    "snake_case_name is left alone, 5 * 3,000 too",
    "**Top Films Of Our Lake**\n\n1. Alien\n2. Amélie",
    "**Top Films Of Our Lake**\n| a |\n|---|\n| Alien |",
    "In the **Science Fiction** genre, **Release Year** – 1979",
    "_Answered by a planner, which is not a language model at all._",
];

/// Answers with what is to be objected to.
const UNGROUNDED: &[(&str, &[&str])] = &[
    ("There are 42 films.", &["42"]),
    ("Es gibt 4.711 Filme.", &["4.711"]),
    ("Il y a 4 711 films.", &["4 711"]),
    ("4711本の映画があります。", &["4711"]),
    ("يوجد ٤٧١١ فيلما", &["4711"]),
    ("४७११ फिल्में", &["4711"]),
    ("Alien came out in 1978.", &["1978"]),
    ("Alien (1979), Aliens (1986)", &["1986"]),
    ("Alien is rated 8.6 and 8.7.", &["8.7"]),
    ("Its rating is 8.34.", &["8.34"]),
    ("It has 1.3 million votes.", &["1.3 million"]),
    ("Es hat 1,3 Mio. Stimmen.", &["1,3 Mio"]),
    ("It has 4k votes.", &["4k"]),
    ("47 % of them", &["47 %"]),
    ("47% of them and 47% again", &["47%"]),
    ("1930s films", &["1930s"]),
    ("Die 1930er", &["1930er"]),
    ("1930年代", &["1930"]),
    ("Films from 1931–39", &["1931", "39"]),
    ("The 17th film", &["17th"]),
    ("42. That is how many there are.", &["42"]),
    ("# There are 42 films", &["42"]),
    ("8.5 - 8.1 = 0.5", &["0.5"]),
    ("8.5 - 8.1 = 8.6", &["8.6"]),
    ("9.9 - 8.1 = 1.8", &["9.9", "1.8"]),
    ("3,000 / 25,000 = 13 %", &["13 %"]),
    ("**Blade Runner** is the best.", &["Blade Runner"]),
    ("*Stalker* and **Alien**", &["Stalker"]),
    ("“Stalker” is the best.", &["Stalker"]),
    ("„Der weiße Hai“ ist der beste.", &["Der weiße Hai"]),
    ("« La Haine » est le meilleur.", &["La Haine"]),
    ("「羅生門」は最高です。", &["羅生門"]),
    ("«الرسالة» هو الأفضل", &["الرسالة"]),
    ("\"Ali\" is the best.", &["Ali"]),
    ("1. **Alien**\n2. **Heat** (1995)", &["Heat", "1995"]),
    ("Its identity is tt0110912.", &["tt0110912"]),
    ("Over 2,000,000 votes", &["2,000,000"]),
    ("1994,1995 and 12.05.1996", &["1994,1995", "12.05.1996"]),
    ("100 * 24 = 2,400 films", &["100", "24", "2,400"]),
    ("**Blade Runner**\n\nis the best of them.", &["Blade Runner"]),
    ("**Science Fiction Story**", &["Science Fiction Story"]),
];

fn check(answer: &str, results: &[&ResultSet], said: &[&str]) -> Vec<String> {
    unverified(answer, &Evidence { results, said, words: &["science fiction", "release year"], is_refusal: false })
}

#[test]
fn what_rows_and_questions_have_is_not_objected_to() {
    let films = films();
    let wrong: Vec<_> =
        GROUNDED.iter().map(|answer| (*answer, check(answer, &[&films], &SAID))).filter(|(_, found)| !found.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_in_no_row_is_objected_to_as_it_is_written() {
    let films = films();
    let wrong: Vec<_> = UNGROUNDED
        .iter()
        .map(|(answer, expected)| (*answer, check(answer, &[&films], &SAID), *expected))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn without_a_result_a_number_is_only_repeated_never_claimed() {
    let said = ["how many films are in the top 10?"];
    assert_eq!(check("There are 10 films.", &[], &said), ["10"]);
    assert_eq!(check("There are 10 films.", &[], &["how many films are there?"]), ["10"]);
    assert!(check("I cannot list the top 10.", &[], &said).is_empty());
    assert!(check("The top 10 films are:", &[&films()], &said).is_empty());
}

#[test]
fn ranks_and_counts_do_not_make_decimals() {
    let places = result(&["place", "primaryTitle"], (1..=10).map(|place| vec![json!(place), json!("Alien")]).collect());
    assert_eq!(
        check("They are rated 6.4 on average, with 3.7 million votes and 5,9 points.", &[&places], &["top 10"]),
        ["6.4", "3.7 million", "5,9"]
    );
    let years = result(&["startYear"], vec![vec![json!(1994)], vec![json!(1995)]]);
    assert!(check("Of 1994,1995 there are two.", &[&years], &[]).is_empty());
}

#[test]
fn calculations_with_constants_alone_prove_nothing() {
    assert_eq!(check("There are 100 * 24 = 2,400 films, so 2,400.", &[], &["how many films?"]), ["100", "24", "2,400"]);
}

#[test]
fn a_refusal_repeats_what_was_asked_and_claims_no_more() {
    let refusal = |answer| {
        unverified(
            answer,
            &Evidence { results: &[], said: &["Which 5 films had the largest box office in 2019?"], words: &[], is_refusal: true },
        )
    };
    assert!(refusal("The lake does not hold what this needs: box office figures for 2019 of 5 films.").is_empty());
    assert_eq!(refusal("It does not hold box office figures; the largest were 858 million."), ["858 million"]);
}

#[test]
fn the_rows_of_a_result_that_was_cut_off_are_no_total() {
    let cut = ResultSet { truncated: true, row_count: 1000, ..result(&["x"], vec![]) };
    assert_eq!(check("There are 1,000 films.", &[&cut], &[]), ["1,000"]);
    assert!(check("These are the first 1,000 films.", &[&cut], &[]).is_empty());
    assert!(check("There are 0 films.", &[&result(&["x"], vec![])], &[]).is_empty());
}

#[test]
fn a_number_within_a_name_supports_that_name_only() {
    let names = result(
        &["primaryTitle"],
        vec![vec![json!("The Taking of Pelham 123")], vec![json!("2001: A Space Odyssey")], vec![json!("120 min")]],
    );
    assert!(check("The Taking of Pelham 123 and 2001: A Space Odyssey run 120 minutes.", &[&names], &[]).is_empty());
    assert_eq!(check("It has 123 votes since 2001.", &[&names], &[]), ["123", "2001"]);
}

#[test]
fn the_row_of_a_figure_is_not_one_of_what_is_counted() {
    let none = result(&["films"], vec![vec![json!(0)]]);
    assert_eq!(check("There is 1 film without a rating.", &[&none], &[]), ["1"]);
    assert!(check("There are 0 such films.", &[&none], &[]).is_empty());
    let one = result(&["primaryTitle"], vec![vec![json!("Jaws")]]);
    assert!(check("There is 1 such film: Jaws.", &[&one], &[]).is_empty());
}

#[test]
fn long_and_broken_answers_are_read_to_the_end() {
    let films = films();
    for piece in ["*", "_", "\"", "`", "``` ", "1 ", "1=", "(", "1+", "\\", "[](", "&#", "'a", "1,", "**a", "„", "1980–"] {
        let answer = piece.repeat(20_000);
        assert!(check(&answer, &[&films], &SAID).len() <= super::MOST);
    }
}

fn cell() -> impl Strategy<Value = (Value, String)> {
    prop_oneof![
        (0_u32..3_000_000).prop_map(|number| (json!(number), number.to_string())),
        (0_u32..3_000_000).prop_map(|number| (json!(number), grouped(number))),
        (0_u32..100_000).prop_map(|number| (json!(f64::from(number) / 1000.0), format!("{:.2}", f64::from(number) / 1000.0))),
        "[A-Z][a-z]{2,9}( [A-Z][a-z]{1,9}){0,3}".prop_map(|name| (json!(name.clone()), format!("**{name}**"))),
        "[A-Z][a-zà-ö]{2,9}( [A-Z][a-z]{1,9}){0,2}( [0-9]{1,4})?".prop_map(|name| (json!(name.clone()), format!("“{name}”"))),
        "[ぁ-ん]{2,8}".prop_map(|name| (json!(name.clone()), format!("「{name}」"))),
    ]
}

fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

proptest! {
    #[test]
    fn an_answer_made_of_cells_is_never_objected_to(cells in prop::collection::vec(cell(), 1..20), glue in prop::sample::select(vec![" and ", "; ", "\n- ", " (", ": "])) {
        let rows = result(&["value"], cells.iter().map(|(value, _)| vec![value.clone()]).collect());
        let answer: Vec<&str> = cells.iter().map(|(_, text)| text.as_str()).collect();
        let answer = format!("Found: {}", answer.join(glue));
        prop_assert_eq!(check(&answer, &[&rows], &[]), Vec::<String>::new(), "{}", answer);
    }

    #[test]
    fn a_number_that_no_cell_gives_is_always_objected_to(cells in prop::collection::vec(0_u32..1_000_000, 1..20), number in 1_000_000_u32..9_999_999, way in 0..4) {
        let rows = result(&["value"], cells.iter().map(|value| vec![json!(value)]).collect());
        let text = match way {
            0 => number.to_string(),
            1 => grouped(number),
            2 => grouped(number).replace(',', "."),
            _ => grouped(number).replace(',', "\u{202f}"),
        };
        prop_assert_eq!(check(&format!("There are **{text}** of them."), &[&rows], &["how many?"]), [text.replace('\u{2009}', " ")]);
    }

    #[test]
    fn no_text_makes_it_panic(answer in ".{0,200}", said in ".{0,60}", cell in ".{0,60}") {
        let _ = check(&answer, &[&result(&["x"], vec![vec![json!(cell)]])], &[&said]);
    }

    #[test]
    fn no_arrangement_of_marks_makes_it_panic(answer in "[0-9,. =+*/()\\\\'\"`_|#A-Za-z\n%–٣s-]{0,120}") {
        let _ = check(&answer, &[&films()], &SAID);
    }
}
