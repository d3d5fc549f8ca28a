//! One file of the spool: records behind a header, written at its end, read from anywhere.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::record::{HEADER, Record, Step, decode};

/// Where the first record begins.
pub(super) const START: u64 = HEADER.len() as u64;
/// How much is read at once, unless a record is longer.
const CHUNK: usize = 64 * 1024;
const SUFFIX: &str = "spool";

/// The file of a segment.
pub(super) fn path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:020}.{SUFFIX}"))
}

/// The segment whose file this is, if it is one's.
pub(super) fn id(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    (path.extension()? == SUFFIX && stem.len() == 20).then(|| stem.parse().ok())?
}

/// A segment's end.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    length: u64,
    /// A part of a record stands behind the last whole one and cannot be taken back.
    broken: bool,
}

impl Writer {
    /// A new segment with its header.
    pub(super) fn create(folder: &Path, id: u64) -> io::Result<Self> {
        let path = path(folder, id);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all(HEADER) {
            // The disk is full, most likely: an empty file would stay for ever.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, length: START, broken: false })
    }

    /// Where the next record will begin.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether another record may follow.
    pub(super) fn is_usable(&self) -> bool {
        !self.broken
    }

    /// Writes a record, or nothing.
    pub(super) fn append(&mut self, encoded: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(encoded);
        if written.is_ok() {
            self.length += encoded.len() as u64;
        } else {
            let taken_back =
                self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            self.broken = taken_back.is_err();
        }
        written
    }

    /// Waits until it is on the disk itself.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Records from somewhere in a segment on.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    /// Read and not taken yet, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// Where in the file the next record begins.
    offset: u64,
}

/// What a reader finds.
#[derive(Debug)]
pub(super) enum Found {
    /// A record, and where it ends.
    Record(Record, u64),
    /// No more whole record.
    End,
    /// What follows is no record of ours; nor is there a way to tell where the next one begins.
    Damaged,
}

impl Reader {
    /// Reads from `offset` on; a file without our header is damaged.
    pub(super) fn open(folder: &Path, id: u64, offset: u64) -> io::Result<Option<Self>> {
        let mut file = File::open(path(folder, id))?;
        let mut header = [0; HEADER.len()];
        match file.read_exact(&mut header) {
            Ok(()) if header == *HEADER => {}
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let offset = offset.max(START);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Some(Self { file, buffer: Vec::new(), at: 0, offset }))
    }

    /// The next record.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        loop {
            match decode(&self.buffer[self.at..]) {
                Step::Record(record, length) => {
                    self.at += length;
                    self.offset += length as u64;
                    return Ok(Found::Record(record, self.offset));
                }
                Step::Damaged => return Ok(Found::Damaged),
                Step::Incomplete => {
                    if self.fill()? == 0 {
                        return Ok(Found::End);
                    }
                }
            }
        }
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    fn fill(&mut self) -> io::Result<u64> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut more = (&mut self.file).take(CHUNK as u64);
        more.read_to_end(&mut self.buffer).map(|read| read as u64)
    }
}
