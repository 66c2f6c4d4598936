// Turns movies.json of vega-datasets into IMDb's four files, for `asklake import`: the sample lake.
//
//     node data/sample.mjs MOVIES_JSON OUT_DIR
//
// What is put right and why: data/README.md. The same input always gives the same files.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const NULL = '\\N';

/** No film of the list came out later; a later year had two digits and was taken for one of this century. */
const LAST_YEAR = 2011;

/** `Major Genre` in IMDb's words. */
const MAJOR_GENRES = {
  Action: ['Action'],
  Adventure: ['Adventure'],
  'Black Comedy': ['Comedy'],
  Comedy: ['Comedy'],
  'Concert/Performance': ['Music'],
  Documentary: ['Documentary'],
  Drama: ['Drama'],
  Horror: ['Horror'],
  Musical: ['Musical'],
  'Romantic Comedy': ['Comedy', 'Romance'],
  'Thriller/Suspense': ['Thriller'],
  Western: ['Western'],
};

/** `Creative Type`, where it says what IMDb calls a genre. A dramatization or a historical setting does not. */
const CREATIVE_TYPES = {
  'Contemporary Fiction': [],
  Dramatization: [],
  Factual: [],
  Fantasy: ['Fantasy'],
  'Historical Fiction': [],
  'Kids Fiction': ['Family'],
  'Multiple Creative Types': [],
  'Science Fiction': ['Sci-Fi'],
  'Super Hero': [],
};

/** Titles whose rating belongs to the earlier film: the later one was already better known than these numbers of votes. */
const EARLIER_FILM_RATED = new Set(['Crash', 'Twilight']);

/** Windows-1252 from 0x80 to 0x9F; above, it is Latin-1. Spelled out because Node's decoder of that name reads Latin-1 only. */
const WINDOWS_80_9F = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** The characters of Mac Roman above ASCII, each with the one that Windows-1252 has at the same byte. */
const MAC_TO_WINDOWS = (() => {
  const bytes = Array.from({ length: 128 }, (_, at) => 128 + at);
  const windows = bytes.map((byte) => WINDOWS_80_9F[byte - 0x80] ?? String.fromCharCode(byte));
  return new Map([...new TextDecoder('macintosh').decode(Uint8Array.from(bytes))].map((mac, at) => [mac, windows[at]]));
})();

/** Windows-1252 text was read as Mac Roman: "LÈon". A text with a character outside Mac Roman was not. */
function repairEncoding(text) {
  const foreign = [...text].filter((char) => char > '\x7f');
  if (!foreign.every((char) => MAC_TO_WINDOWS.has(char))) return text;
  return [...text].map((char) => MAC_TO_WINDOWS.get(char) ?? char).join('');
}

/** Text on one line, with single spaces, its doubled quotes undone. */
function clean(text) {
  return repairEncoding(String(text)).replace(/\s+/g, ' ').replaceAll('""', '"').trim();
}

/** "Boot, Das" → "Das Boot"; "King Kong (1933)" → "King Kong". Titles such as 1776 are numbers in the JSON. */
function title(value) {
  if (value === null || value === undefined) return null;
  return clean(value)
    .replace(/ \((?:19|20)\d\d\)$/, '')
    .replace(/^(.+), (The|A|An|Das|Les)$/, '$2 $1');
}

/** The year of "Jun 12 1998"; null where the date says that none is known. */
function year(date) {
  if (date === null || date === undefined) return null;
  const [, month, day, digits] = /^(\w{3}) (\d\d) (\d{4})$/.exec(date) ?? refuse(`the release date ${JSON.stringify(date)}`);
  const given = Number(digits);
  if (given > LAST_YEAR) return given - 100;
  // The evening before an American New Year is a first of January in the time zone behind: an unknown day of the next
  // year, or, for 1970, the zero of Unix time. From 1997 on such dates are true ones, of films meant for that year's prizes.
  if (month === 'Dec' && day === '31' && given < 1997) return given === 1969 ? null : given + 1;
  return given;
}

/** IMDb's genres, in the alphabet's order as IMDb has them; null where none is known. */
function genres(film) {
  const of = (table, value) => (value == null ? [] : (table[value] ?? refuse(`the genre ${JSON.stringify(value)}`)));
  const all = new Set([...of(MAJOR_GENRES, film['Major Genre']), ...of(CREATIVE_TYPES, film['Creative Type'])]);
  return all.size === 0 ? null : [...all].sort();
}

function refuse(what) {
  throw new Error(`movies.json has ${what}, which data/sample.mjs does not know: is it vega-datasets 3.2.1?`);
}

/** The films with ids, in the file's order. */
function films(entries) {
  return entries.map((entry, at) => ({
    tconst: id('tt', at),
    title: title(entry.Title),
    year: year(entry['Release Date']),
    runtime: entry['Running Time min'] ?? null,
    genres: genres(entry),
    director: entry.Director == null ? null : clean(entry.Director),
    rating: entry['IMDB Rating'] ?? null,
    votes: entry['IMDB Votes'] ?? null,
  }));
}

/**
 * Ratings were looked up by title, so a remake and its original, or a sequel and the first film, have the same rating and
 * votes. Only the one that they can belong to keeps them; the other's are unknown.
 */
function ratings(films) {
  const rated = films.filter((film) => film.rating !== null && film.votes !== null);
  const alike = new Map();
  for (const film of rated) {
    const key = `${film.rating} ${film.votes}`;
    alike.set(key, [...(alike.get(key) ?? []), film]);
  }
  return rated.filter((film) => alike.get(`${film.rating} ${film.votes}`).every((other) => other === film || ownsRating(film, other)));
}

function ownsRating(film, other) {
  if (film.title === null || other.title === null) return true;
  if (film.title === other.title) return EARLIER_FILM_RATED.has(film.title) ? film.year < other.year : film.year > other.year;
  // "Jurassic Park 3" has the rating of "Jurassic Park". Otherwise nothing tells: few votes can be equal by chance.
  return !(film.title.startsWith(`${other.title} `) && /^\d$/.test(film.title.slice(other.title.length + 1)));
}

/** Directors in the order of their first film, each with all their films. */
function directors(films) {
  const byName = new Map();
  for (const film of films.filter((film) => film.director !== null)) {
    if (!byName.has(film.director)) byName.set(film.director, { nconst: id('nm', byName.size), name: film.director, titles: [] });
    byName.get(film.director).titles.push(film.tconst);
  }
  return byName;
}

function id(prefix, at) {
  return prefix + String(at + 1).padStart(7, '0');
}

function field(value) {
  if (value === null) return NULL;
  return Array.isArray(value) ? value.join(',') : String(value);
}

function write(folder, name, header, rows) {
  const lines = [header, ...rows.map((row) => row.map(field))].map((fields) => `${fields.join('\t')}\n`);
  writeFileSync(join(folder, `${name}.tsv.gz`), gzipSync(lines.join('')));
}

function main([source, folder, ...rest]) {
  if (!folder || rest.length > 0) throw new Error('usage: node data/sample.mjs MOVIES_JSON OUT_DIR');
  const all = films(JSON.parse(readFileSync(source, 'utf8')));
  const people = directors(all);
  mkdirSync(folder, { recursive: true });
  write(
    folder,
    'title.basics',
    ['tconst', 'titleType', 'primaryTitle', 'originalTitle', 'isAdult', 'startYear', 'endYear', 'runtimeMinutes', 'genres'],
    all.map((film) => [film.tconst, 'movie', film.title, null, 0, film.year, null, film.runtime, film.genres]),
  );
  write(
    folder,
    'title.ratings',
    ['tconst', 'averageRating', 'numVotes'],
    ratings(all).map((film) => [film.tconst, film.rating, film.votes]),
  );
  write(
    folder,
    'name.basics',
    ['nconst', 'primaryName', 'birthYear', 'deathYear', 'primaryProfession', 'knownForTitles'],
    [...people.values()].map((person) => [person.nconst, person.name, null, null, ['director'], person.titles]),
  );
  write(
    folder,
    'title.principals',
    ['tconst', 'ordering', 'nconst', 'category', 'job', 'characters'],
    all.filter((film) => film.director !== null).map((film) => [film.tconst, 1, people.get(film.director).nconst, 'director', null, null]),
  );
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`sample.mjs: ${error.message}`);
  process.exitCode = 1;
}
