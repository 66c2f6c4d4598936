//! `asklake import`: what ends up in the Parquet files, and that a broken file is refused by name and line and leaves the lake alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use asklake::import::{self, Error, Fault, Options, Progress, Report};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::rows::{Rows, strings};

pub(super) const BASICS: &str = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n\
    tt1\tmovie\tÆon \"Flux\tÆon Flux\t0\t2005\t\\N\t93\tAction,Sci-Fi\n\
    tt2\ttvSeries\t\\N\t\t1\t\\N\t2011\t\\N\t\\N\n";
pub(super) const RATINGS: &str = "tconst\taverageRating\tnumVotes\ntt1\t5.4\t120000\ntt2\t9\t\\N\n";
pub(super) const NAMES: &str = "nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n\
    nm1\tKaryn Kusama\t1968\t\\N\tdirector,producer\ttt1\nnm2\tNobody\t\\N\t\\N\t\t\\N\n";
pub(super) const PRINCIPALS: &str = "tconst\tordering\tnconst\tcategory\tjob\tcharacters\n\
    tt1\t1\tnm1\tdirector\t\\N\t\\N\ntt1\t2\tnm2\tactor\t\\N\t[\"Trevor \\\"T\\\"\",\"Self\"]\n";

/// A folder with the four files, good ones unless replaced, and a lake beside it.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Case {
        let case = Case { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(case.options().source).unwrap();
        for (name, text) in
            [("title.basics.tsv", BASICS), ("title.ratings.tsv", RATINGS), ("name.basics.tsv", NAMES), ("title.principals.tsv", PRINCIPALS)]
        {
            case.put(&format!("{name}.gz"), &gzip(text.as_bytes()));
        }
        case
    }

    fn options(&self) -> Options {
        Options { source: self.dir.path().join("imdb"), lake: self.dir.path().join("deep/lake") }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.options().source.join(name), bytes).unwrap();
    }

    fn take(&self, name: &str) {
        fs::remove_file(self.options().source.join(name)).unwrap();
    }

    fn import(&self) -> Result<Report, Error> {
        import::run(&self.options(), &mut |_| {})
    }

    fn read(&self, table: &str) -> Rows {
        Rows::read(&self.options().lake, table)
    }

    /// Imports with `bytes` in the place of one file and expects it to be refused, once into no lake and once into an existing one.
    fn refused(name: &str, bytes: &[u8]) -> Refused {
        let case = Case::new();
        case.import().unwrap();
        let before = contents(&case.options().lake);
        assert_eq!(before.len(), 4);
        // The first table changes too, so that it would show if it were put in place before the last is read.
        case.put("title.basics.tsv.gz", &gzip(BASICS.replace("2005", "1995").as_bytes()));
        case.take(&format!("{}.tsv.gz", name.split(".tsv").next().unwrap()));
        case.put(name, bytes);
        let error = case.import().unwrap_err();
        assert_eq!(contents(&case.options().lake), before, "an existing lake stays as it was: {error}");

        fs::remove_dir_all(case.dir.path().join("deep")).unwrap();
        let again = case.import().unwrap_err();
        assert_eq!(again.to_string(), error.to_string());
        assert!(!case.dir.path().join("deep").exists(), "nothing is left behind: {error}");
        Refused { file: case.options().source.join(name), error }
    }
}

struct Refused {
    file: PathBuf,
    error: Error,
}

impl Refused {
    #[track_caller]
    fn at(self, expected: u64) -> Fault {
        let message = self.error.to_string();
        match self.error {
            Error::Broken { file, line, fault } => {
                assert_eq!((&file, line), (&self.file, expected), "{message}");
                assert_eq!(message, format!("{}: line {line}: {fault}", file.display()));
                fault
            }
            other => panic!("{other}"),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Every file below a folder, hidden ones too, with its bytes.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let below = contents(&path);
            assert!(!below.is_empty(), "an empty folder: {}", path.display());
            all.extend(below);
        } else {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn the_four_files_become_typed_tables() {
    let case = Case::new();
    let report = case.import().unwrap();
    let rows: Vec<_> = report.tables.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    assert_eq!(rows, [("imdb.movies_delta", 2), ("imdb.ratings_delta", 2), ("imdb.persons_delta", 2), ("imdb.principals_delta", 2)]);

    let movies = case.read("movies_delta");
    let strings_of = "List(Utf8, field: 'element')";
    assert_eq!(
        movies.types(),
        [
            "tconst Utf8",
            "titleType Utf8",
            "primaryTitle Utf8",
            "originalTitle Utf8",
            "isAdult Int32",
            "startYear Int32",
            "endYear Int32",
            "runtimeMinutes Int32",
            &format!("genres {strings_of}")
        ]
    );
    assert_eq!(movies.text("primaryTitle"), [Some("Æon \"Flux"), None], "quotes are literal");
    assert_eq!(movies.text("originalTitle"), [Some("Æon Flux"), Some("")], "an empty text is not a null");
    assert_eq!(movies.int("isAdult"), [Some(0), Some(1)]);
    assert_eq!(movies.int("startYear"), [Some(2005), None]);
    assert_eq!(movies.int("endYear"), [None, Some(2011)]);
    assert_eq!(movies.list("genres"), [strings(&["Action", "Sci-Fi"]), None]);

    let ratings = case.read("ratings_delta");
    assert_eq!(ratings.types(), ["tconst Utf8", "averageRating Float64", "numVotes Int32"]);
    assert_eq!(ratings.double("averageRating"), [Some(5.4), Some(9.0)]);
    assert_eq!(ratings.int("numVotes"), [Some(120_000), None]);

    let persons = case.read("persons_delta");
    assert_eq!(persons.types()[4..], [format!("primaryProfession {strings_of}"), format!("knownForTitles {strings_of}")]);
    assert_eq!(
        persons.list("primaryProfession"),
        [strings(&["director", "producer"]), None],
        "no profession is unknown, not an empty list"
    );
    assert_eq!(persons.list("knownForTitles"), [strings(&["tt1"]), None]);

    let principals = case.read("principals_delta");
    assert_eq!(principals.types()[..2], ["tconst Utf8", "ordering Int32"]);
    assert_eq!(principals.text("characters"), [None, Some(r#"["Trevor \"T\"","Self"]"#)], "the JSON text of the file");
    assert_eq!(principals.text("job"), [None, None]);
}

#[test]
fn columns_are_found_by_name_and_others_ignored() {
    let case = Case::new();
    case.put("title.ratings.tsv.gz", &gzip(b"numVotes\tnew\ttconst\taverageRating\r\n7\tx\ttt1\t5.4\r\n"));
    case.import().unwrap();
    let ratings = case.read("ratings_delta");
    assert_eq!(ratings.text("tconst"), [Some("tt1")]);
    assert_eq!(ratings.double("averageRating"), [Some(5.4)]);
    assert_eq!(ratings.int("numVotes"), [Some(7)]);
}

#[test]
fn gzip_of_several_members_and_plain_text_are_read() {
    let case = Case::new();
    let (head, tail) = RATINGS.split_at(40);
    case.put("title.ratings.tsv.gz", &[gzip(head.as_bytes()), gzip(tail.as_bytes())].concat());
    case.take("name.basics.tsv.gz");
    case.put("name.basics.tsv", NAMES.as_bytes());
    // gzip's checksum proves that nothing is missing, so the last line needs no end.
    case.put("title.principals.tsv.gz", &gzip(PRINCIPALS.trim_end().as_bytes()));
    case.import().unwrap();
    assert_eq!(case.read("ratings_delta").int("numVotes"), [Some(120_000), None]);
    assert_eq!(case.read("persons_delta").text("primaryName"), [Some("Karyn Kusama"), Some("Nobody")]);
    assert_eq!(case.read("principals_delta").text("nconst"), [Some("nm1"), Some("nm2")]);
}

#[test]
fn a_new_import_replaces_the_tables_and_keeps_their_neighbours() {
    let case = Case::new();
    case.import().unwrap();
    let schema = case.options().lake.join("imdb");
    fs::write(schema.join("mine.parquet"), "mine").unwrap();
    // What an import leaves that was killed half-way.
    fs::create_dir(schema.join(".import")).unwrap();
    fs::write(schema.join(".import/ratings_delta.parquet"), "half").unwrap();
    case.put("title.ratings.tsv.gz", &gzip(b"tconst\taverageRating\tnumVotes\ntt9\t1.5\t3\n"));
    case.import().unwrap();
    assert_eq!(case.read("ratings_delta").text("tconst"), [Some("tt9")]);
    assert_eq!(fs::read_to_string(schema.join("mine.parquet")).unwrap(), "mine");
    assert!(!schema.join(".import").exists());
}

#[test]
fn many_rows_keep_their_order_and_get_statistics() {
    let case = Case::new();
    let mut file = String::from("tconst\taverageRating\tnumVotes\n");
    for row in 0..100_000 {
        file.push_str(&format!("tt{row:07}\t{}.5\t{row}\n", row % 10));
    }
    case.put("title.ratings.tsv.gz", &gzip(file.as_bytes()));
    let mut seen: Vec<Progress> = Vec::new();
    import::run(&case.options(), &mut |progress| seen.push(progress)).unwrap();

    let votes = case.read("ratings_delta").int("numVotes");
    assert!(votes.into_iter().eq((0..100_000).map(Some)));

    let parquet = fs::File::open(case.options().lake.join("imdb/ratings_delta.parquet")).unwrap();
    let metadata = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().metadata().clone();
    let votes = metadata.row_group(0).column(2).statistics().expect("statistics");
    assert_eq!((votes.min_bytes_opt(), votes.max_bytes_opt()), (Some(&0i32.to_le_bytes()[..]), Some(&99_999i32.to_le_bytes()[..])));

    assert!(seen.iter().filter(|progress| progress.table == "ratings_delta").count() > 3, "{seen:?}");
    assert!(seen.is_sorted_by_key(|progress| progress.bytes), "{seen:?}");
    let last = seen.last().unwrap();
    assert_eq!((last.table, last.rows, last.bytes), ("principals_delta", 2, last.total_bytes));
}

#[test]
fn a_header_without_a_column_is_refused() {
    let fault = Case::refused("title.ratings.tsv.gz", &gzip(b"tconst\tRating\tVotes\ntt1\t5.4\t7\n")).at(1);
    assert_eq!(fault, Fault::NoColumn { columns: vec!["averageRating", "numVotes"] });
}

#[test]
fn a_wrong_number_of_fields_is_refused() {
    let fields = |text: &str| Case::refused("title.ratings.tsv.gz", &gzip(text.as_bytes())).at(3);
    let head = "tconst\taverageRating\tnumVotes\ntt1\t5.4\t7\n";
    assert_eq!(fields(&format!("{head}tt2\t5.4\n")), Fault::Fields { expected: 3, found: 2 });
    assert_eq!(fields(&format!("{head}tt2\t5.4\t7\t\n")), Fault::Fields { expected: 3, found: 4 });
    assert_eq!(fields(&format!("{head}\ntt2\t5.4\t7\n")), Fault::Fields { expected: 3, found: 1 });
}

#[test]
fn what_is_not_a_number_is_refused() {
    for (cell, column) in [
        ("tt1\tnan\t7", "averageRating"),
        ("tt1\tgood\t7", "averageRating"),
        ("tt1\t5.4\t7.0", "numVotes"),
        ("tt1\t5.4\t", "numVotes"),
        ("tt1\t5.4\t2147483648", "numVotes"),
    ] {
        let fault = Case::refused("title.ratings.tsv.gz", &gzip(format!("tconst\taverageRating\tnumVotes\n{cell}\n").as_bytes())).at(2);
        assert!(matches!(&fault, Fault::NotANumber { column: found, .. } if *found == column), "{cell}: {fault}");
        let value = cell.rsplit('\t').nth(usize::from(column == "averageRating")).unwrap();
        assert!(fault.to_string().contains(&format!("column {column}: {value:?} is not")), "{fault}");
    }
}

#[test]
fn a_missing_key_is_refused() {
    let fault = Case::refused("name.basics.tsv.gz", &gzip(NAMES.replace("nm2", "\\N").as_bytes())).at(3);
    assert_eq!(fault, Fault::NoKey { column: "nconst" });
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let fault = Case::refused("title.ratings.tsv.gz", &gzip(b"tconst\taverageRating\tnumVotes\ntt1\t5.4\t7\nt\xe9\t5.4\t7\n")).at(3);
    assert_eq!(fault, Fault::NotUtf8 { at: 2 });
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut file = b"tconst\taverageRating\tnumVotes\n".to_vec();
    file.resize(32 << 20, b'x');
    let packed = gzip(&file);
    // Whoever reads on to the line's end meets the file's end instead, in which half of the line is missing.
    let fault = Case::refused("title.ratings.tsv.gz", &packed[..packed.len() / 2]).at(2);
    assert_eq!(fault, Fault::TooLong { limit: 1 << 20 });
}

#[test]
fn a_file_cut_short_is_refused() {
    let mut file = String::from("tconst\taverageRating\tnumVotes\n");
    for row in 0..1000 {
        file.push_str(&format!("tt{row}\t5.4\t{}\n", row * 7919 % 1009));
    }
    let whole = gzip(file.as_bytes());
    // In the data (the decoder gives out what it has, hence some line), in the checksum behind it, in the header before it.
    let refused = Case::refused("title.ratings.tsv.gz", &whole[..whole.len() / 2]);
    assert!(matches!(refused.error, Error::Broken { line: 2.., fault: Fault::Cut, .. }), "{}", refused.error);
    assert_eq!(Case::refused("title.ratings.tsv.gz", &whole[..whole.len() - 3]).at(1002), Fault::Cut);
    assert_eq!(Case::refused("title.ratings.tsv.gz", &whole[..5]).at(1), Fault::Cut);
    // Plain text: cut within the last number, which still is a number.
    assert_eq!(Case::refused("title.ratings.tsv", &file.as_bytes()[..file.len() - 2]).at(1001), Fault::Cut);
}

#[test]
fn damaged_gzip_is_refused() {
    let mut flipped = gzip(RATINGS.as_bytes());
    let checksum = flipped.len() - 8;
    flipped[checksum] ^= 1;
    assert!(matches!(Case::refused("title.ratings.tsv.gz", &flipped).at(4), Fault::Damaged { .. }));
    assert!(matches!(Case::refused("title.ratings.tsv.gz", RATINGS.as_bytes()).at(1), Fault::Damaged { .. }), "plain text named .gz");
    let trailing = [gzip(RATINGS.as_bytes()), b"<html>".to_vec()].concat();
    assert!(matches!(Case::refused("title.ratings.tsv.gz", &trailing).at(4), Fault::Damaged { .. } | Fault::Cut));
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(Case::refused("title.ratings.tsv.gz", b"").at(1), Fault::Empty);
    assert_eq!(Case::refused("title.ratings.tsv.gz", &gzip(b"")).at(1), Fault::Empty);
    assert_eq!(Case::refused("title.ratings.tsv", b"").at(1), Fault::Empty);
    assert_eq!(Case::refused("title.ratings.tsv.gz", &gzip(b"tconst\taverageRating\tnumVotes\n")).at(2), Fault::NoRows);
}

#[test]
fn every_missing_file_is_named_at_once() {
    let case = Case::new();
    case.take("title.basics.tsv.gz");
    case.take("title.principals.tsv.gz");
    let error = case.import().unwrap_err();
    assert!(matches!(&error, Error::Missing { files, .. } if files == &["title.basics.tsv.gz", "title.principals.tsv.gz"]), "{error}");
    assert!(!case.options().lake.exists());

    let nowhere = Options { source: case.dir.path().join("nowhere"), ..case.options() };
    assert!(matches!(import::run(&nowhere, &mut |_| {}), Err(Error::Source { .. })));
    let file = Options { source: case.options().source.join("name.basics.tsv.gz"), ..case.options() };
    assert!(matches!(import::run(&file, &mut |_| {}), Err(Error::Source { .. })));
}

#[test]
fn a_table_kept_as_a_folder_is_not_shadowed() {
    let case = Case::new();
    let folder = case.options().lake.join("imdb/persons_delta");
    fs::create_dir_all(&folder).unwrap();
    let error = case.import().unwrap_err();
    assert!(matches!(&error, Error::Folder { folder: named } if *named == folder), "{error}");
    assert!(!case.options().lake.join("imdb/movies_delta.parquet").exists());
}

#[test]
fn two_imports_at_once_do_not_mix() {
    let case = Case::new();
    let mut inner = None;
    let outer = import::run(&case.options(), &mut |_| inner = inner.take().or_else(|| Some(case.import())));
    assert!(matches!(inner, Some(Err(Error::Busy { .. }))), "{inner:?}");
    outer.unwrap();
    assert_eq!(contents(&case.options().lake).len(), 4);
}
