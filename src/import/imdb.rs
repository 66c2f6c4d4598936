//! Which of IMDb's public files becomes which table of the lake: the only film-specific data of the import.
//!
//! The files are described at <https://developer.imdb.com/non-commercial-datasets/>. It holds no code: another data set in
//! the same dialect (tab-separated, no quoting, `\N` for null, comma lists) is another list of tables.

use super::table::{Column, Kind, Table};

/// The lake's schema, and the folder below the lake that holds its tables.
pub(super) const SCHEMA: &str = "imdb";

/// One table per file, in the order they are imported.
pub(super) const TABLES: [Table; 4] = [
    Table {
        name: "movies_delta",
        file: "title.basics.tsv",
        columns: &[
            Column { name: "tconst", kind: Kind::Key },
            Column { name: "titleType", kind: Kind::Text },
            Column { name: "primaryTitle", kind: Kind::Text },
            Column { name: "originalTitle", kind: Kind::Text },
            // 0 or 1 in the file. It stays a number, as in the existing deployment, whose queries say `isAdult = 0`.
            Column { name: "isAdult", kind: Kind::Int },
            Column { name: "startYear", kind: Kind::Int },
            Column { name: "endYear", kind: Kind::Int },
            Column { name: "runtimeMinutes", kind: Kind::Int },
            Column { name: "genres", kind: Kind::List },
        ],
    },
    Table {
        name: "ratings_delta",
        file: "title.ratings.tsv",
        columns: &[
            Column { name: "tconst", kind: Kind::Key },
            Column { name: "averageRating", kind: Kind::Double },
            Column { name: "numVotes", kind: Kind::Int },
        ],
    },
    Table {
        name: "persons_delta",
        file: "name.basics.tsv",
        columns: &[
            Column { name: "nconst", kind: Kind::Key },
            Column { name: "primaryName", kind: Kind::Text },
            Column { name: "birthYear", kind: Kind::Int },
            Column { name: "deathYear", kind: Kind::Int },
            Column { name: "primaryProfession", kind: Kind::List },
            Column { name: "knownForTitles", kind: Kind::List },
        ],
    },
    Table {
        name: "principals_delta",
        file: "title.principals.tsv",
        columns: &[
            Column { name: "tconst", kind: Kind::Key },
            Column { name: "ordering", kind: Kind::Int },
            Column { name: "nconst", kind: Kind::Key },
            Column { name: "category", kind: Kind::Text },
            Column { name: "job", kind: Kind::Text },
            // JSON text such as `["Rick Blaine"]`, kept as the file has it.
            Column { name: "characters", kind: Kind::Text },
        ],
    },
];
