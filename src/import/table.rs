//! The shape of a table: its columns, and how one field of text becomes one typed cell. It reads no files and writes none.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::error::Fault;

/// What the files write for a value that is not known.
const NULL: &str = "\\N";

/// A table of the lake and the file it comes from.
#[derive(Debug)]
pub(super) struct Table {
    /// Name of the table, and of its Parquet file without the extension.
    pub(super) name: &'static str,
    /// Name of the source file without `.gz`.
    pub(super) file: &'static str,
    /// The columns, in the table's order. The file may have them in another order, and others beside them.
    pub(super) columns: &'static [Column],
}

/// A column, named alike in file and table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string that is never null: what the tables are joined by.
    Key,
    /// A string.
    Text,
    /// A 32-bit integer.
    Int,
    /// A finite double.
    Double,
    /// A comma list, as an array of strings.
    List,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Key | Kind::Text => DataType::Utf8,
            Kind::Int => DataType::Int32,
            Kind::Double => DataType::Float64,
            Kind::List => DataType::List(element()),
        }
    }
}

/// Spark's name for the items of an array.
fn element() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Utf8, true))
}

impl Table {
    /// Every column is nullable, as Spark writes its tables; that keys have values is checked while reading.
    pub(super) fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(|column| Field::new(column.name, column.kind.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

/// The rows of one table that are not yet written.
pub(super) struct Rows {
    schema: SchemaRef,
    cells: Vec<Cells>,
    len: usize,
    /// Bytes of text in the rows, about what they take in memory.
    bytes: usize,
}

impl Rows {
    pub(super) fn new(table: &Table) -> Rows {
        Rows { schema: table.schema(), cells: table.columns.iter().map(Cells::new).collect(), len: 0, bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one row. `field` gives the text of each column of the table, by its position. After an error the rows are of
    /// no further use: some columns have a cell more than others.
    pub(super) fn push<'a>(&mut self, field: impl Fn(usize) -> &'a str) -> Result<(), Fault> {
        for (at, cells) in self.cells.iter_mut().enumerate() {
            let text = field(at);
            self.bytes += text.len();
            cells.push(text)?;
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the rows out and leaves none.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.len, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), self.cells.iter_mut().map(|cells| cells.values.finish()).collect())
    }
}

/// The cells of one column.
struct Cells {
    column: &'static str,
    values: Values,
}

enum Values {
    Key(StringBuilder),
    Text(StringBuilder),
    Int(Int32Builder),
    Double(Float64Builder),
    List(ListBuilder<StringBuilder>),
}

impl Cells {
    fn new(column: &'static Column) -> Cells {
        let values = match column.kind {
            Kind::Key => Values::Key(StringBuilder::new()),
            Kind::Text => Values::Text(StringBuilder::new()),
            Kind::Int => Values::Int(Int32Builder::new()),
            Kind::Double => Values::Double(Float64Builder::new()),
            Kind::List => Values::List(ListBuilder::new(StringBuilder::new()).with_field(element())),
        };
        Cells { column: column.name, values }
    }

    fn push(&mut self, text: &str) -> Result<(), Fault> {
        let column = self.column;
        let value = (text != NULL).then_some(text);
        match &mut self.values {
            Values::Key(keys) => keys.append_value(value.filter(|key| !key.is_empty()).ok_or(Fault::NoKey { column })?),
            Values::Text(texts) => texts.append_option(value),
            Values::Int(numbers) => numbers.append_option(value.map(|text| int(column, text)).transpose()?),
            Values::Double(numbers) => numbers.append_option(value.map(|text| double(column, text)).transpose()?),
            Values::List(lists) => push_list(lists, value),
        }
        Ok(())
    }
}

impl Values {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Values::Key(strings) | Values::Text(strings) => Arc::new(strings.finish()),
            Values::Int(numbers) => Arc::new(numbers.finish()),
            Values::Double(numbers) => Arc::new(numbers.finish()),
            Values::List(lists) => Arc::new(lists.finish()),
        }
    }
}

fn int(column: &'static str, text: &str) -> Result<i32, Fault> {
    text.parse().map_err(|_| Fault::not_a_number(column, "a whole number below 2,147,483,648", text))
}

fn double(column: &'static str, text: &str) -> Result<f64, Fault> {
    // `parse` also takes "nan" and "inf", which no rating is.
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| Fault::not_a_number(column, "a number", text))
}

/// IMDb writes an unknown list as `\N`, and in some files as nothing at all: both are null, not an empty list.
fn push_list(lists: &mut ListBuilder<StringBuilder>, value: Option<&str>) {
    let Some(list) = value.filter(|list| !list.is_empty()) else {
        return lists.append_null();
    };
    for item in list.split(',') {
        lists.values().append_value(item);
    }
    lists.append(true);
}
