//! What the tests of the import and of the sample lake share: reading the lake's Parquet files back.

use std::fs;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// All rows of a table.
pub struct Rows(pub RecordBatch);

impl Rows {
    pub fn read(lake: &Path, table: &str) -> Rows {
        let file = fs::File::open(lake.join(format!("imdb/{table}.parquet"))).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap();
        Rows(reader.with_batch_size(rows).build().unwrap().next().unwrap().unwrap())
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    /// Name and type of each column.
    pub fn types(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
    }

    pub fn text(&self, column: &str) -> Vec<Option<&str>> {
        self.column(column).as_string::<i32>().iter().collect()
    }

    pub fn int(&self, column: &str) -> Vec<Option<i32>> {
        self.column(column).as_primitive::<Int32Type>().iter().collect()
    }

    pub fn double(&self, column: &str) -> Vec<Option<f64>> {
        self.column(column).as_primitive::<Float64Type>().iter().collect()
    }

    pub fn list(&self, column: &str) -> Vec<Option<Vec<String>>> {
        let items = |list: ArrayRef| list.as_string::<i32>().iter().map(|item| item.unwrap().to_owned()).collect();
        self.column(column).as_list::<i32>().iter().map(|list| list.map(items)).collect()
    }

    fn column(&self, name: &str) -> &ArrayRef {
        self.0.column_by_name(name).unwrap()
    }
}

/// A list's cell.
pub fn strings(items: &[&str]) -> Option<Vec<String>> {
    Some(items.iter().map(|item| (*item).to_owned()).collect())
}
