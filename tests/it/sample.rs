//! The sample lake: that `data/sample.mjs` puts the faults of its source right, and what the real one holds.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use asklake::import::{self, Options};
use tempfile::TempDir;

use super::rows::{Rows, strings};

fn script(movies: &Path, folder: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample.mjs");
    Command::new("node").arg(script).arg(movies).arg(folder).output().expect("node, which the sample lake needs")
}

/// The lake made of these entries of `movies.json`.
fn sample(entries: &serde_json::Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let movies = dir.path().join("movies.json");
    fs::write(&movies, entries.to_string()).unwrap();
    let output = script(&movies, &dir.path().join("tsv"));
    assert!(output.status.success(), "{output:?}");
    import::run(&Options { source: dir.path().join("tsv"), lake: dir.path().into() }, &mut |_| {}).unwrap();
    dir
}

/// A film with this title and date, rated unlike any other.
fn film(title: impl Into<serde_json::Value>, date: &str, votes: u32) -> serde_json::Value {
    serde_json::json!({"Title": title.into(), "Release Date": date, "Running Time min": 90, "Major Genre": "Drama", "Creative Type": null,
        "Director": "Jane Doe", "IMDB Rating": 6.5, "IMDB Votes": votes})
}

#[test]
fn years_of_two_digits_and_without_a_day_are_put_right() {
    let dates = ["Jun 12 1998", "Dec 15 2039", "Dec 31 2046", "Jan 28 2011", "Dec 31 1941", "Dec 31 1969", "Dec 31 2002", "Jan 01 1970"];
    let films: Vec<_> = (1..).zip(dates).map(|(votes, date)| film(format!("Film {votes}"), date, votes)).collect();
    let lake = sample(&films.into());
    let years = Rows::read(lake.path(), "movies_delta").int("startYear");
    assert_eq!(years, [Some(1998), Some(1939), Some(1946), Some(2011), Some(1942), None, Some(2002), Some(1970)]);
}

#[test]
fn titles_are_text_in_the_right_letters_and_order() {
    let titles = [
        serde_json::json!(1941),
        serde_json::json!(null),
        serde_json::json!("LÈon"),
        serde_json::json!("I Love You Ö Don't"),
        serde_json::json!("Alien³"),
        serde_json::json!("Boot, Das"),
        serde_json::json!("King Kong (1933)"),
        serde_json::json!("The Helix...  Loaded"),
    ];
    let films: Vec<_> = (1..).zip(titles).map(|(votes, title)| film(title, "Jun 12 1998", votes)).collect();
    let lake = sample(&films.into());
    let movies = Rows::read(lake.path(), "movies_delta");
    let expected = ["1941", "\0", "Léon", "I Love You … Don't", "Alien³", "Das Boot", "King Kong", "The Helix... Loaded"];
    assert_eq!(movies.text("primaryTitle"), expected.map(|title| Some(title).filter(|title| *title != "\0")));
    assert_eq!(movies.text("originalTitle"), [None; 8], "not known");
}

#[test]
fn genres_are_in_the_words_of_imdb() {
    let genres = [
        (Some("Romantic Comedy"), Some("Fantasy")),
        (Some("Thriller/Suspense"), Some("Science Fiction")),
        (Some("Adventure"), Some("Kids Fiction")),
        (None, Some("Historical Fiction")),
        (None, None),
    ];
    let mut films: Vec<_> = (1..=5).map(|votes| film(format!("Film {votes}"), "Jun 12 1998", votes)).collect();
    for (film, (major, creative)) in films.iter_mut().zip(genres) {
        film["Major Genre"] = major.into();
        film["Creative Type"] = creative.into();
    }
    let lake = sample(&films.into());
    assert_eq!(
        Rows::read(lake.path(), "movies_delta").list("genres"),
        [strings(&["Comedy", "Fantasy", "Romance"]), strings(&["Sci-Fi", "Thriller"]), strings(&["Adventure", "Family"]), None, None]
    );
}

#[test]
fn a_rating_found_under_two_films_is_given_to_one() {
    let film = |title: &str, year: u32, votes: u32| film(title, &format!("Jun 12 {year}"), votes);
    let lake = sample(&serde_json::json!([
        film("Remade", 1967, 100),
        film("Remade", 2006, 100),
        film("Sequel", 1993, 200),
        film("Sequel 3", 2001, 200),
        film("Crash", 1996, 300),
        film("Crash", 2005, 300),
        film("One", 1990, 5),
        film("Other", 1991, 5),
    ]));
    let ratings = Rows::read(lake.path(), "ratings_delta");
    let kept = ["tt0000002", "tt0000003", "tt0000005", "tt0000007", "tt0000008"];
    assert_eq!(ratings.text("tconst"), kept.map(Some));
    assert_eq!(ratings.double("averageRating"), [Some(6.5); 5]);
}

#[test]
fn directors_are_persons_with_their_films_and_the_unknown_stays_null() {
    let unknown = serde_json::json!({"Title": "Bare", "Release Date": "Jun 12 1998", "Running Time min": null, "Major Genre": null,
        "Creative Type": null, "Director": null, "IMDB Rating": null, "IMDB Votes": null});
    let mut quoted = film("Quoted", "Jun 12 1998", 2);
    quoted["Director"] = r#"Jeff ""King Jeff"" Hollins"#.into();
    let lake = sample(&serde_json::json!([film("First", "Jun 12 1998", 1), unknown, quoted, film("Last", "Jun 12 1999", 3)]));

    let persons = Rows::read(lake.path(), "persons_delta");
    assert_eq!(persons.text("primaryName"), [Some("Jane Doe"), Some(r#"Jeff "King Jeff" Hollins"#)]);
    assert_eq!(persons.list("knownForTitles"), [strings(&["tt0000001", "tt0000004"]), strings(&["tt0000003"])]);
    assert_eq!(persons.list("primaryProfession"), [strings(&["director"]), strings(&["director"])]);
    assert_eq!(persons.int("birthYear"), [None, None]);
    let principals = Rows::read(lake.path(), "principals_delta");
    assert_eq!(principals.text("tconst"), [Some("tt0000001"), Some("tt0000003"), Some("tt0000004")]);
    assert_eq!(principals.text("nconst"), [Some("nm0000001"), Some("nm0000002"), Some("nm0000001")]);
    assert_eq!(principals.text("category"), [Some("director"); 3]);
    let movies = Rows::read(lake.path(), "movies_delta");
    assert_eq!(movies.int("runtimeMinutes"), [Some(90), None, Some(90), Some(90)]);
    assert_eq!(Rows::read(lake.path(), "ratings_delta").text("tconst"), [Some("tt0000001"), Some("tt0000003"), Some("tt0000004")]);
}

#[test]
fn a_source_that_the_script_does_not_know_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let movies = dir.path().join("movies.json");
    let mut odd = film("Odd", "Jun 12 1998", 1);
    odd["Major Genre"] = "Telenovela".into();
    fs::write(&movies, serde_json::json!([odd]).to_string()).unwrap();
    let output = script(&movies, &dir.path().join("tsv"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(r#"the genre "Telenovela""#), "{output:?}");
    assert!(!dir.path().join("tsv").exists());
}

/// Imports a folder of real files, or says that it is not there.
fn real(folder: &Path) -> Option<TempDir> {
    if !folder.join("title.basics.tsv.gz").exists() {
        println!("skipped: {} is not there", folder.display());
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    import::run(&Options { source: folder.into(), lake: dir.path().into() }, &mut |_| {}).unwrap();
    Some(dir)
}

/// The rows refer to rows that are there.
fn assert_keys(lake: &Path) {
    let (movies, persons) = (Rows::read(lake, "movies_delta"), Rows::read(lake, "persons_delta"));
    let titles: HashSet<_> = movies.text("tconst").into_iter().collect();
    let people: HashSet<_> = persons.text("nconst").into_iter().collect();
    assert_eq!((titles.len(), people.len()), (movies.len(), persons.len()), "keys are unique");
    let (ratings, principals) = (Rows::read(lake, "ratings_delta"), Rows::read(lake, "principals_delta"));
    assert!(ratings.text("tconst").iter().all(|key| titles.contains(key)));
    assert!(principals.text("tconst").iter().all(|key| titles.contains(key)));
    assert!(principals.text("nconst").iter().all(|key| people.contains(key)));
}

/// Made by `make tools`.
#[test]
fn the_sample_lake_holds_what_its_readme_says() {
    let Some(lake) = real(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/sample")) else { return };
    assert_keys(lake.path());
    let movies = Rows::read(lake.path(), "movies_delta");
    let years = movies.int("startYear");
    assert_eq!(movies.len(), 3201);
    assert_eq!((years.iter().flatten().min(), years.iter().flatten().max()), (Some(&1915), Some(&2011)));
    assert_eq!(years.iter().filter(|year| year.is_none()).count(), 8);
    assert_eq!(movies.int("runtimeMinutes").iter().flatten().count(), 1209);
    let genres: HashSet<String> = movies.list("genres").into_iter().flatten().flatten().collect();
    let mut genres: Vec<_> = genres.iter().map(String::as_str).collect();
    genres.sort_unstable();
    let imdb = "Action Adventure Comedy Documentary Drama Family Fantasy Horror Music Musical Romance Sci-Fi Thriller Western";
    assert_eq!(genres.join(" "), imdb);
    let titles = movies.text("primaryTitle");
    let year = |title| titles.iter().position(|other| *other == Some(title)).and_then(|row| years[row]);
    assert_eq!((year("Gone with the Wind"), year("Casablanca"), year("2012")), (Some(1939), Some(1942), Some(2009)));
    assert!(year("Léon").is_some() && year("LÈon").is_none());
    assert_eq!(Rows::read(lake.path(), "ratings_delta").len(), 2962);
    assert_eq!(Rows::read(lake.path(), "persons_delta").len(), 550);
    assert_eq!(Rows::read(lake.path(), "principals_delta").len(), 1870);
}

/// Kept beside the project, or where `ASKLAKE_SHARED_DATA` says.
#[test]
fn a_larger_lake_is_imported_whole() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let Some(lake) = real(&std::env::var_os("ASKLAKE_SHARED_DATA").map_or_else(beside, PathBuf::from)) else { return };
    assert_keys(lake.path());
    let counts = ["movies_delta", "ratings_delta", "persons_delta", "principals_delta"].map(|table| Rows::read(lake.path(), table).len());
    assert_eq!(counts, [36_787, 2_987, 24_087, 124_147]);
}
