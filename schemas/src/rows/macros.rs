//! Defines a row struct together with its column list, so that the two cannot differ.

/// Defines a row struct together with its column list.
macro_rules! row {
    ($(#[$doc:meta])* $name:ident in $table:literal { $($(#[$field_doc:meta])* $field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),+ }

        impl Columns for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];
        }

        impl $name {
            /// Writes every column into a larger row.
            pub(super) fn serialize_into<S: SerializeStruct>(&self, row: &mut S) -> Result<(), S::Error> {
                $(row.serialize_field(stringify!($field), &self.$field)?;)+
                Ok(())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut row = serializer.serialize_struct(stringify!($name), Self::COLUMNS.len())?;
                self.serialize_into(&mut row)?;
                row.end()
            }
        }
    };
}

pub(super) use row;
