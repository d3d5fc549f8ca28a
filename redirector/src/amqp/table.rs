//! Field tables (specification 4.2.5.5, with RabbitMQ's types): names and values, read entry by entry.

use super::read::{Malformed, Reader, put_long_string, put_short_text};

/// The bytes of a table, without its length; known to be well formed at its top level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table<'a>(&'a [u8]);

/// A name, and a value as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name's bytes.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `t`
    Bool(bool),
    /// `S`
    Text(&'a [u8]),
    /// `F`: the table's bytes, which have not been looked at.
    Table(&'a [u8]),
    /// Any other type's octet and bytes.
    Other(u8, &'a [u8]),
}

impl<'a> Value<'a> {
    /// A nested table.
    #[must_use]
    pub fn table(self) -> Option<Result<Table<'a>, Malformed>> {
        match self {
            Self::Table(bytes) => Some(Table::read(bytes)),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

impl<'a> Table<'a> {
    /// Checks every entry's name, type and length. Nested tables and arrays are stepped over.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Reader(bytes);
        while !rest.0.is_empty() {
            field(&mut rest)?;
        }
        Ok(Self(bytes))
    }

    /// Its entries, in order; a name may come twice.
    pub fn fields(self) -> impl Iterator<Item = Field<'a>> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || if rest.0.is_empty() { None } else { field(&mut rest).ok() })
    }

    /// The value of the first entry of this name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.fields().find(|field| field.name == name.as_bytes()).map(|field| field.value)
    }

    /// Its bytes, without the length.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

#[inline]
fn field<'a>(rest: &mut Reader<'a>) -> Result<Field<'a>, Malformed> {
    let name = rest.short_string()?;
    let kind = rest.octet()?;
    let value = match kind {
        b't' => Value::Bool(rest.octet()? != 0),
        b'S' => Value::Text(rest.long_string()?),
        b'F' => Value::Table(rest.long_string()?),
        b'A' | b'x' => Value::Other(kind, rest.long_string()?),
        b'b' | b'B' => Value::Other(kind, rest.take(1)?),
        b's' | b'u' => Value::Other(kind, rest.take(2)?),
        b'I' | b'i' | b'f' => Value::Other(kind, rest.take(4)?),
        b'D' => Value::Other(kind, rest.take(5)?),
        b'l' | b'L' | b'd' | b'T' => Value::Other(kind, rest.take(8)?),
        b'V' => Value::Other(kind, &[]),
        other => return Err(Malformed::Type(other)),
    };
    Ok(Field { name, value })
}

/// A table in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBuf(Vec<u8>);

impl TableBuf {
    /// Copies an entry of another table.
    pub fn copy(&mut self, Field { name, value }: Field<'_>) {
        // A name that was read has 255 bytes at most.
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        self.0.push(length);
        self.0.extend_from_slice(&name[..usize::from(length)]);
        match value {
            Value::Bool(value) => self.0.extend_from_slice(&[b't', value.into()]),
            Value::Text(bytes) => self.long(b'S', bytes),
            Value::Table(bytes) => self.long(b'F', bytes),
            Value::Other(kind @ (b'A' | b'x'), bytes) => self.long(kind, bytes),
            Value::Other(kind, bytes) => {
                self.0.push(kind);
                self.0.extend_from_slice(bytes);
            }
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        put_short_text(&mut self.0, name);
        self.long(b'S', text.as_bytes());
        self
    }

    /// Adds a truth value.
    #[must_use]
    pub fn bool(mut self, name: &str, value: bool) -> Self {
        put_short_text(&mut self.0, name);
        self.0.extend_from_slice(&[b't', value.into()]);
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, name: &str, table: &Self) -> Self {
        put_short_text(&mut self.0, name);
        self.long(b'F', &table.0);
        self
    }

    /// What was made.
    #[must_use]
    pub fn as_table(&self) -> Table<'_> {
        Table(&self.0)
    }

    fn long(&mut self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        put_long_string(&mut self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every type, as the specification and RabbitMQ write it.
    const ALL: &[u8] = b"\x01tt\x01\x01bb\xff\x01BB\x07\x01ss\x00\x02\x01uu\x00\x02\x01II\x00\x00\x00\x03\x01ii\x00\x00\x00\x03\
        \x01ll\x00\x00\x00\x00\x00\x00\x00\x04\x01LL\x00\x00\x00\x00\x00\x00\x00\x04\x01ff\x3f\x80\x00\x00\
        \x01dd\x3f\xf0\x00\x00\x00\x00\x00\x00\x01DD\x02\x00\x00\x01\x00\x01SS\x00\x00\x00\x02hi\
        \x01AA\x00\x00\x00\x02t\x01\x01TT\x00\x00\x00\x00\x00\x00\x00\x05\x01FF\x00\x00\x00\x04\x01ct\x00\x01VV\x01xx\x00\x00\x00\x01\xff";

    #[test]
    fn every_type_is_known_and_copied() {
        let table = Table::read(ALL).unwrap();
        let names: Vec<u8> = table.fields().map(|field| field.name[0]).collect();
        assert_eq!(names, b"tbBsuIilLfdDSATFVx");
        let mut copy = TableBuf::default();
        table.fields().for_each(|field| copy.copy(field));
        assert_eq!(copy.as_table(), table);
        assert_eq!(table.get("S").and_then(Value::text), Some("hi"));
        assert_eq!(table.get("F").unwrap().table().unwrap().unwrap().get("c"), Some(Value::Bool(false)));
        assert_eq!(table.get("absent"), None);
    }

    #[test]
    fn what_is_made_is_read() {
        let inner = TableBuf::default().bool("basic.nack", true);
        let made = TableBuf::default().text("product", "Kinetic").table("capabilities", &inner);
        let table = Table::read(made.as_table().bytes()).unwrap();
        assert_eq!(table.get("product").and_then(Value::text), Some("Kinetic"));
        assert_eq!(table.get("capabilities").unwrap().table(), Some(Ok(inner.as_table())));
    }

    #[test]
    fn a_table_that_ends_early_or_has_a_foreign_type() {
        assert_eq!(Table::read(b"\x01zz"), Err(Malformed::Type(b'z')));
        assert_eq!(Table::read(b"\x01SS\xff\xff\xff\xff"), Err(Malformed::Short));
        assert_eq!(Table::read(b"\x05ab"), Err(Malformed::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(table) = Table::read(&bytes) {
                let mut copy = TableBuf::default();
                table.fields().for_each(|field| copy.copy(field));
                // A truth value may be any octet but 0.
                prop_assert_eq!(copy.as_table().bytes().len(), bytes.len());
                prop_assert!(Table::read(copy.as_table().bytes()).is_ok());
            }
        }

        /// A table that breaks off anywhere within an entry is none.
        #[test]
        fn a_cut_is_seen(cut in 1..ALL.len()) {
            let whole = Table::read(&ALL[..cut]);
            let entries = (0..ALL.len()).filter(|at| Table::read(&ALL[..*at]).is_ok()).count();
            prop_assert_eq!(entries, 18);
            prop_assert!(whole.is_ok() || matches!(whole, Err(Malformed::Short)));
        }
    }
}
