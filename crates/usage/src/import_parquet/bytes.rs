//! Text columns of a Parquet file, opened as bytes: whether they are UTF-8 is looked at row by row,
//! where the reader of Parquet would only say that some page is not.

use std::fs::File;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::errors::Result;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

/// What the file says of itself, with bytes in the place of texts.
pub(super) fn metadata(file: &File) -> Result<ArrowReaderMetadata> {
    let read = ParquetMetaDataReader::new().parse_and_finish(file)?;
    let own = read.file_metadata();
    let schema = SchemaDescriptor::new(without_texts(own.schema_descr().root_schema())?);
    let own = FileMetaData::new(
        own.version(),
        own.num_rows(),
        own.created_by().map(str::to_owned),
        own.key_value_metadata().cloned(),
        Arc::new(schema),
        own.column_orders().cloned(),
    );
    let metadata = Arc::new(ParquetMetaData::new(own, read.row_groups().to_vec()));
    // Types come from Parquet alone, so that what wrote the file makes no difference.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ArrowReaderMetadata::try_new(metadata, options)
}

/// A type in which no column of bytes is said to be text.
fn without_texts(part: &Type) -> Result<TypePtr> {
    let info = part.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let changed = match part {
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| without_texts(field));
            let group = Type::group_type_builder(info.name())
                .with_fields(fields.collect::<Result<_>>()?)
                .with_logical_type(info.logical_type_ref().cloned())
                .with_converted_type(info.converted_type())
                .with_id(id);
            if info.has_repetition() {
                group.with_repetition(info.repetition()).build()?
            } else {
                group.build()?
            }
        }
        Type::PrimitiveType { physical_type, .. } if is_text(part) => {
            Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_id(id)
                .build()?
        }
        Type::PrimitiveType { .. } => part.clone(),
    };
    Ok(Arc::new(changed))
}

fn is_text(part: &Type) -> bool {
    let info = part.get_basic_info();
    let text = match info.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::String | LogicalType::Json),
        None => matches!(
            info.converted_type(),
            ConvertedType::UTF8 | ConvertedType::JSON
        ),
    };
    text && part.get_physical_type() == Physical::BYTE_ARRAY
}
