//! What waits on disk while the upstream is away or slow: a queue in segment files, oldest first.
//!
//! Records are written as they come and not synced: they survive the end of the process (`kill -9`), not that of the machine. A record
//! leaves when it is confirmed or when it is the oldest in a full spool; files go as wholes. How far all is confirmed is kept in a file
//! (written aside, renamed), once in a while: after a crash some records come again, under the ids that they had.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    record::Record,
    segment::{self, Found, Reader, START, Writer},
};

/// The spool is cut into so many segments: this share of it goes at once when it is full.
const SEGMENTS: u64 = 16;
const SMALLEST_SEGMENT: u64 = 64 * 1024;
const LARGEST_SEGMENT: u64 = 4 * 1024 * 1024;
/// After so many failures to read it a file counts as damaged.
const PATIENCE: u8 = 5;
const LOCK: &str = "lock";
const POSITION: &str = "position";
const POSITION_ASIDE: &str = "position.new";

/// Where the spool is, and what it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The folder, for this sidecar alone; made if it is missing.
    pub directory: PathBuf,
    /// Bytes that it may hold; beyond that the oldest go.
    pub size: u64,
    /// What waited for longer is not sent any more.
    pub max_age: Duration,
}

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another sidecar has the folder.
    #[error("spool {}: another sidecar uses it; give each one a folder of its own by --spool", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("spool {}: {reason}; check --spool, its owner and the room on its disk", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// Between two records; earlier is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    segment: u64,
    offset: u64,
}

/// A record that is given up, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) expired: bool,
    pub(super) lines: u32,
    pub(super) arrived_ms: i64,
}

#[derive(Debug)]
struct Segment {
    id: u64,
    length: u64,
    /// When its first record arrived.
    first_ms: i64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Spool {
    config: SpoolConfig,
    /// Held as long as this lives.
    _lock: File,
    /// The oldest first; no record lies elsewhere.
    segments: VecDeque<Segment>,
    /// Writes the last segment; a new one is begun without it.
    writer: Option<Writer>,
    last_id: u64,
    bytes: u64,
    /// Everything before is confirmed.
    confirmed: Place,
    saved: Place,
    /// Everything before was handed out.
    next: Place,
    reader: Option<Reader>,
    encoded: Vec<u8>,
    /// So many attempts to read the next record failed.
    failures: u8,
    /// What could not be read, since the last [`take_damaged`](Self::take_damaged), in bytes.
    damaged: u64,
}

impl Spool {
    /// Takes over what an earlier process left. A record that it had not finished is cut off; says how many bytes that were.
    pub(super) fn open(config: SpoolConfig) -> Result<(Self, u64), SpoolError> {
        let folder = config.directory.as_path();
        fs::create_dir_all(folder).map_err(at(folder))?;
        let lock_path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(config.directory)),
            Err(TryLockError::Error(reason)) => return Err(SpoolError::Io { path: lock_path, reason }),
        }
        let mut ids = Vec::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            ids.extend(segment::id(&entry.map_err(at(folder))?.path()));
        }
        ids.sort_unstable();
        let saved = read_position(folder);
        let torn = match ids.last() {
            Some(last) => cut_tail(folder, *last).map_err(at(&segment::path(folder, *last)))?,
            None => 0,
        };
        let mut segments = VecDeque::new();
        for id in &ids {
            let path = segment::path(folder, *id);
            let length = fs::metadata(&path).map_err(at(&path))?.len();
            if *id < saved.segment || length <= START {
                fs::remove_file(&path).map_err(at(&path))?;
                continue;
            }
            let first_ms = first_arrival(folder, *id).map_err(at(&path))?;
            segments.push_back(Segment { id: *id, length, first_ms });
        }
        let last_id = ids.last().copied().unwrap_or_default().max(saved.segment);
        let mut spool = Self {
            _lock: lock,
            bytes: segments.iter().map(|segment| segment.length).sum(),
            segments,
            writer: None,
            last_id,
            confirmed: saved,
            saved,
            next: saved,
            reader: None,
            encoded: Vec::new(),
            failures: 0,
            damaged: 0,
            config,
        };
        spool.next = spool.next.max(spool.begin());
        Ok((spool, torn))
    }

    /// Whether something waits that was not handed out.
    pub(super) fn has_unsent(&self) -> bool {
        self.next < self.end()
    }

    /// The bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When about the oldest record arrived, in milliseconds since the epoch.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.segments.front().map(|segment| segment.first_ms)
    }

    /// The bytes that could not be read, since it was asked last.
    pub(super) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Puts a record behind all others; `lost` is told what has to go for it. Gives the place behind it. An error leaves all as it was.
    pub(super) fn append(&mut self, record: &Record, lost: impl FnMut(Loss)) -> Result<Place, SpoolError> {
        let length = record.encoded_len() as u64;
        self.make_room(length, lost)?;
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        record.encode(&mut encoded);
        let written = self.write(&encoded, record.arrived_ms);
        encoded.shrink_to(256 * 1024);
        self.encoded = encoded;
        written
    }

    /// The next record to be sent, and the place behind it.
    pub(super) fn read(
        &mut self,
        now_ms: i64,
        mut lost: impl FnMut(Loss),
    ) -> Result<Option<(Record, Place)>, SpoolError> {
        let oldest =
            now_ms.saturating_sub(i64::try_from(self.config.max_age.as_millis()).unwrap_or(i64::MAX));
        while self.has_unsent() {
            let id = self.next.segment;
            let found = self.read_on().map_err(at(&segment::path(&self.config.directory, id)))?;
            match found {
                Some(Found::Record(record, offset)) => {
                    self.next.offset = offset;
                    if record.arrived_ms >= oldest {
                        return Ok(Some((record, self.next)));
                    }
                    lost(Loss { expired: true, lines: record.lines, arrived_ms: record.arrived_ms });
                }
                Some(Found::End | Found::Damaged) | None => {
                    let length = self.segment(id).map_or(0, |segment| segment.length);
                    self.damaged += length.saturating_sub(self.next.offset);
                    self.seal(id);
                    self.next = self.after(id);
                    self.reader = None;
                }
            }
        }
        Ok(None)
    }

    /// What was appended so far counts as handed out.
    pub(super) fn skip_to_end(&mut self) {
        self.next = self.end();
        self.reader = None;
    }

    /// Everything before `place` is confirmed.
    pub(super) fn confirm(&mut self, place: Place) {
        self.confirmed = self.confirmed.max(place);
    }

    /// All that was handed out is confirmed, or needs no confirmation.
    pub(super) fn confirm_all(&mut self) {
        self.confirm(self.next);
    }

    /// Removes what is confirmed, and keeps how far that is.
    pub(super) fn tidy(&mut self) -> Result<(), SpoolError> {
        if self.confirmed != self.saved {
            self.save()?;
        }
        while let Some(first) = self.segments.front() {
            let done = Place { segment: first.id, offset: first.length } <= self.confirmed;
            if !done {
                break;
            }
            self.remove_first()?;
        }
        Ok(())
    }

    /// Waits until all is on the disk itself.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        self.writer.as_ref().map_or(Ok(()), Writer::sync).map_err(at(&self.config.directory))
    }

    fn write(&mut self, encoded: &[u8], arrived_ms: i64) -> Result<Place, SpoolError> {
        let limit = (self.config.size / SEGMENTS).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        let fits = |writer: &Writer| {
            let length = writer.length();
            writer.is_usable() && (length == START || length + encoded.len() as u64 <= limit)
        };
        if !self.writer.as_ref().is_some_and(fits) {
            let id = self.last_id + 1;
            let path = segment::path(&self.config.directory, id);
            self.writer = Some(Writer::create(&self.config.directory, id).map_err(at(&path))?);
            self.last_id = id;
            self.segments.push_back(Segment { id, length: START, first_ms: arrived_ms });
            self.bytes += START;
            self.next = self.next.max(self.begin());
        }
        let (Some(writer), Some(last)) = (self.writer.as_mut(), self.segments.back_mut()) else {
            unreachable!("a writer has its segment")
        };
        let path = segment::path(&self.config.directory, last.id);
        writer.append(encoded).map_err(at(&path))?;
        last.length = writer.length();
        self.bytes += encoded.len() as u64;
        Ok(Place { segment: last.id, offset: last.length })
    }

    /// Lets the oldest go until so many bytes fit.
    fn make_room(&mut self, bytes: u64, mut lost: impl FnMut(Loss)) -> Result<(), SpoolError> {
        while self.bytes + bytes + START > self.config.size {
            let Some(first) = self.segments.front().map(|segment| segment.id) else { return Ok(()) };
            self.seal(first);
            self.next = self.next.max(self.begin());
            // What was handed out before is not lost with its file.
            while self.next.segment == first {
                match self.read_on().map_err(at(&segment::path(&self.config.directory, first)))? {
                    Some(Found::Record(record, offset)) => {
                        self.next.offset = offset;
                        lost(Loss { expired: false, lines: record.lines, arrived_ms: record.arrived_ms });
                    }
                    Some(Found::End | Found::Damaged) | None => {
                        let length = self.segment(first).map_or(0, |segment| segment.length);
                        self.damaged += length.saturating_sub(self.next.offset);
                        self.next = self.after(first);
                        self.reader = None;
                    }
                }
            }
            self.remove_first()?;
        }
        Ok(())
    }

    /// The record at `next`; None if its file is none of ours, or is not to be read.
    fn read_on(&mut self) -> io::Result<Option<Found>> {
        let Place { segment, offset } = self.next;
        let length = self.segment(segment).map_or(0, |segment| segment.length);
        if offset.max(START) >= length {
            return Ok(Some(Found::End));
        }
        let found = self.read_at(self.next);
        match found {
            Err(error) => {
                self.reader = None;
                self.failures += 1;
                if self.failures < PATIENCE {
                    return Err(error);
                }
                self.failures = 0;
                Ok(None)
            }
            found => {
                self.failures = 0;
                found
            }
        }
    }

    fn read_at(&mut self, Place { segment, offset }: Place) -> io::Result<Option<Found>> {
        let reader = match &mut self.reader {
            Some(reader) if reader.offset() == offset.max(START) => reader,
            none => match Reader::open(&self.config.directory, segment, offset)? {
                Some(reader) => none.insert(reader),
                None => return Ok(None),
            },
        };
        reader.next().map(Some)
    }

    /// Nothing more is written into this segment.
    fn seal(&mut self, id: u64) {
        if self.segments.back().is_some_and(|last| last.id == id) {
            self.writer = None;
        }
    }

    fn remove_first(&mut self) -> Result<(), SpoolError> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        let (id, length) = (first.id, first.length);
        let path = segment::path(&self.config.directory, id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
            Ok(()) | Err(_) => {}
        }
        self.seal(id);
        if self.next.segment == id {
            self.next = self.after(id);
            self.reader = None;
        }
        self.segments.pop_front();
        self.bytes -= length;
        Ok(())
    }

    fn save(&mut self) -> Result<(), SpoolError> {
        let folder = &self.config.directory;
        let aside = folder.join(POSITION_ASIDE);
        let Place { segment, offset } = self.confirmed;
        fs::write(&aside, format!("{segment} {offset}\n")).map_err(at(&aside))?;
        fs::rename(&aside, folder.join(POSITION)).map_err(at(&aside))?;
        self.saved = self.confirmed;
        Ok(())
    }

    fn segment(&self, id: u64) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&id, |segment| segment.id).ok()?;
        self.segments.get(at)
    }

    /// Before the first record.
    fn begin(&self) -> Place {
        self.segments.front().map_or(self.end(), |first| Place { segment: first.id, offset: START })
    }

    /// Behind the last record.
    fn end(&self) -> Place {
        let none = Place { segment: self.last_id, offset: u64::MAX };
        self.segments.back().map_or(none, |last| Place { segment: last.id, offset: last.length })
    }

    /// Where the segment after this one begins, or the end.
    fn after(&self, id: u64) -> Place {
        let at = self.segments.partition_point(|segment| segment.id <= id);
        let none = Place { segment: id, offset: u64::MAX };
        self.segments.get(at).map_or(none, |segment| Place { segment: segment.id, offset: START })
    }
}

/// An error of the system at this path.
fn at(path: &Path) -> impl Fn(io::Error) -> SpoolError + use<> {
    let path = path.to_owned();
    move |reason| SpoolError::Io { path: path.clone(), reason }
}

/// The place that was saved; the beginning of all if there is none that can be read: records then come again.
fn read_position(folder: &Path) -> Place {
    let text = fs::read_to_string(folder.join(POSITION)).unwrap_or_default();
    let mut numbers = text.strip_suffix('\n').unwrap_or_default().split(' ').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(segment)), Some(Ok(offset)), None) => Place { segment, offset },
        _ => Place::default(),
    }
}

/// Cuts off what follows a segment's last whole record; says how much that was.
fn cut_tail(folder: &Path, id: u64) -> io::Result<u64> {
    let path = segment::path(folder, id);
    let length = fs::metadata(&path)?.len();
    let whole = match Reader::open(folder, id, START)? {
        Some(mut reader) => {
            while let Found::Record(..) = reader.next()? {}
            reader.offset()
        }
        None => 0,
    };
    if whole < length {
        OpenOptions::new().write(true).open(&path)?.set_len(whole)?;
    }
    Ok(length - whole)
}

fn first_arrival(folder: &Path, id: u64) -> io::Result<i64> {
    Ok(match Reader::open(folder, id, START)?.map(|mut reader| reader.next()).transpose()? {
        Some(Found::Record(record, _)) => record.arrived_ms,
        Some(Found::End | Found::Damaged) | None => 0,
    })
}

#[cfg(test)]
mod tests;
