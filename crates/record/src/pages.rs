//! Pages of Ogg (RFC 3533 §6), each written at once and found again after a crash.
//!
//! No packet is continued on another page: what is cut off at the end of a page is whole.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use crc::{Algorithm, Crc, Table};

/// The checksum of a page (RFC 3533 §6, field 7).
const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&Algorithm {
    width: 32,
    poly: 0x04c1_1db7,
    init: 0,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89a1_897f,
    residue: 0,
});

const CAPTURE: &[u8; 4] = b"OggS";

/// The head of a page, without its lacing values.
const HEAD: usize = 27;

/// Where the checksum is.
const CHECKSUM: usize = 22;

/// Lacing values of a page at most.
const LACING: usize = 255;

/// The stream begins with this page.
const FIRST: u8 = 2;

/// The stream ends with this page.
const LAST: u8 = 4;

/// Bytes of a page at most.
const LONGEST: usize = HEAD + LACING + LACING * LACING;

/// In so much of a file's end a whole page is looked for first: some pages of the largest size.
const TAIL: u64 = 1 << 20;

/// Writes the pages of one stream.
#[derive(Debug)]
pub(crate) struct Pages<W> {
    sink: W,
    serial: u32,
    sequence: u32,
    lacing: Vec<u8>,
    data: Vec<u8>,
    granule: u64,
    bytes: u64,
}

impl<W: Write> Pages<W> {
    /// Begins a stream.
    pub(crate) fn begin(sink: W, serial: u32) -> Self {
        Self::go_on(sink, End { serial, sequence: 0, granule: 0, bytes: 0 })
    }

    /// Goes on with a stream; the sink is where it ends.
    pub(crate) fn go_on(sink: W, end: End) -> Self {
        let End { serial, sequence, granule, bytes } = end;
        let (lacing, data) = (Vec::new(), Vec::new());
        Self { sink, serial, sequence, lacing, data, granule, bytes }
    }

    #[cfg(test)]
    pub(crate) fn sink(&self) -> &W {
        &self.sink
    }

    pub(crate) fn into_sink(self) -> W {
        self.sink
    }

    /// Returns how many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a packet that ends at `granule`; the page is written if it is full. Returns whether
    /// a page can hold the packet; it is left out otherwise.
    pub(crate) fn packet(&mut self, data: &[u8], granule: u64) -> io::Result<bool> {
        let lacing = data.len() / 255 + 1;
        if lacing > LACING {
            return Ok(false);
        }
        if self.lacing.len() + lacing > LACING {
            self.close()?;
        }
        self.lacing.extend(std::iter::repeat_n(u8::MAX, lacing - 1));
        self.lacing.push(u8::try_from(data.len() % 255).unwrap_or_default());
        self.data.extend_from_slice(data);
        self.granule = granule;
        Ok(true)
    }

    /// Writes the page under way, if there is anything on it.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if self.lacing.is_empty() { Ok(()) } else { self.write(0) }
    }

    /// Ends the stream with a packet on a page of its own, so that the end can be taken back
    /// without loss.
    pub(crate) fn end(&mut self, data: &[u8], granule: u64) -> io::Result<()> {
        self.close()?;
        self.packet(data, granule)?;
        self.write(LAST)
    }

    fn write(&mut self, kind: u8) -> io::Result<()> {
        let kind = if self.sequence == 0 { kind | FIRST } else { kind };
        let count = u8::try_from(self.lacing.len()).unwrap_or(u8::MAX);
        let mut page = Vec::with_capacity(HEAD + self.lacing.len() + self.data.len());
        page.extend_from_slice(CAPTURE);
        page.extend([0, kind]);
        page.extend(self.granule.to_le_bytes());
        page.extend(self.serial.to_le_bytes());
        page.extend(self.sequence.to_le_bytes());
        page.extend([0; 4]);
        page.push(count);
        page.append(&mut self.lacing);
        page.append(&mut self.data);
        let checksum = CRC.checksum(&page).to_le_bytes();
        page.iter_mut().skip(CHECKSUM).zip(checksum).for_each(|(to, from)| *to = from);
        self.sequence += 1;
        self.sink.write_all(&page)?;
        self.bytes += page.len() as u64;
        self.sink.flush()
    }
}

/// Where a stream ends that may be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) serial: u32,
    /// The number of the next page.
    pub(crate) sequence: u32,
    pub(crate) granule: u64,
    /// How long the file is up to there.
    pub(crate) bytes: u64,
}

impl End {
    /// Finds the last page up to which all is whole, in a file that begins with two pages of
    /// heads. A page that ends the stream does not count. None if the heads are not whole.
    ///
    /// Large files are read from their end: what a process had written when it was killed is
    /// there without a hole.
    pub(crate) fn find(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = file.seek(SeekFrom::End(0))?;
        let Some(heads) = heads(file)? else { return Ok(None) };
        if length > heads.bytes + TAIL
            && let Some(found) = near_the_end(file, length - TAIL, heads.serial)?
        {
            return walk(file, found).map(Some);
        }
        walk(file, heads).map(Some)
    }
}

fn heads(file: &mut (impl Read + Seek)) -> io::Result<Option<End>> {
    file.seek(SeekFrom::Start(0))?;
    let Some(first) = read(file)?.filter(|page| page.kind & FIRST != 0 && page.sequence == 0)
    else {
        return Ok(None);
    };
    let Some(second) = read(file)?.filter(|page| (page.serial, page.sequence) == (first.serial, 1))
    else {
        return Ok(None);
    };
    let bytes = first.bytes + second.bytes;
    Ok(Some(End { serial: first.serial, sequence: 2, granule: second.granule, bytes }))
}

/// Finds a whole page behind `from`.
fn near_the_end(file: &mut (impl Read + Seek), from: u64, serial: u32) -> io::Result<Option<End>> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    let places = tail.windows(CAPTURE.len()).enumerate().filter(|(_, bytes)| bytes == CAPTURE);
    for (place, _) in places {
        let mut rest = tail.get(place..).unwrap_or_default();
        if let Some(page) = read(&mut rest)?.filter(|page| page.serial == serial) {
            let (granule, bytes) = (page.granule, from + place as u64);
            return Ok(Some(End { serial, sequence: page.sequence, granule, bytes }));
        }
    }
    Ok(None)
}

/// Follows the pages from `end` as far as they are whole and in order.
fn walk(file: &mut (impl Read + Seek), mut end: End) -> io::Result<End> {
    file.seek(SeekFrom::Start(end.bytes))?;
    let mut file = io::BufReader::with_capacity(LONGEST, file);
    while let Some(page) = read(&mut file)? {
        let follows = (page.serial, page.sequence) == (end.serial, end.sequence);
        if !follows || page.kind & (FIRST | LAST) != 0 {
            break;
        }
        end.sequence += 1;
        end.granule = page.granule;
        end.bytes += page.bytes;
    }
    Ok(end)
}

/// What is known of a page.
#[derive(Debug, Clone, Copy)]
struct Page {
    kind: u8,
    granule: u64,
    serial: u32,
    sequence: u32,
    bytes: u64,
}

/// Reads a page. None if there is none, or not a whole one.
fn read(file: &mut impl Read) -> io::Result<Option<Page>> {
    let mut head = [0; HEAD];
    if !fill(file, &mut head)? || !head.starts_with(CAPTURE) {
        return Ok(None);
    }
    let [_, _, _, _, version, kind, rest @ ..] = head;
    let [granule @ .., _, _, _, _, _, _, _, _, _, _, _, _, count] = rest;
    let [_, _, _, _, _, _, _, _, numbers @ .., _] = rest;
    let [s0, s1, s2, s3, n0, n1, n2, n3, c0, c1, c2, c3] = numbers;
    let mut lacing = vec![0; usize::from(count)];
    if version != 0 || !fill(file, &mut lacing)? {
        return Ok(None);
    }
    let mut data = vec![0; lacing.iter().map(|value| usize::from(*value)).sum()];
    if !fill(file, &mut data)? {
        return Ok(None);
    }
    head.iter_mut().skip(CHECKSUM).take(4).for_each(|byte| *byte = 0);
    let mut checksum = CRC.digest();
    [head.as_slice(), &lacing, &data].into_iter().for_each(|part| checksum.update(part));
    if checksum.finalize() != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Ok(None);
    }
    let bytes = HEAD + lacing.len() + data.len();
    Ok(Some(Page {
        kind,
        granule: u64::from_le_bytes(granule),
        serial: u32::from_le_bytes([s0, s1, s2, s3]),
        sequence: u32::from_le_bytes([n0, n1, n2, n3]),
        bytes: bytes as u64,
    }))
}

/// Returns whether there was as much as that.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn stream(pages: u32, bytes: usize) -> Vec<u8> {
        let mut stream = Pages::begin(Vec::new(), 77);
        for page in 0..u64::from(pages) {
            assert!(stream.packet(&vec![0x4f; bytes], page * 960).unwrap());
            stream.close().unwrap();
        }
        assert_eq!(stream.bytes(), stream.sink().len() as u64);
        stream.into_sink()
    }

    #[test]
    fn the_library_reads_what_is_written() {
        for bytes in [0, 1, 254, 255, 256, 510, 60_000, 254 * 255] {
            let mut reader = ogg::PacketReader::new(Cursor::new(stream(3, bytes)));
            for page in 0..3 {
                let packet = reader.read_packet().unwrap().unwrap();
                assert_eq!((packet.data.len(), packet.absgp_page()), (bytes, page * 960));
                assert_eq!(packet.stream_serial(), 77);
            }
            assert!(reader.read_packet().unwrap().is_none());
        }
        let mut stream = Pages::begin(Vec::new(), 1);
        assert!(!stream.packet(&vec![0; 255 * 255], 0).unwrap(), "no page can hold it");
    }

    #[test]
    fn a_page_that_is_full_is_closed() {
        let mut stream = Pages::begin(Vec::new(), 1);
        for n in 0..1_000 {
            assert!(stream.packet(&[7; 300], n).unwrap());
        }
        stream.close().unwrap();
        let mut reader = ogg::PacketReader::new(Cursor::new(stream.into_sink()));
        let mut found = 0;
        while let Some(packet) = reader.read_packet().unwrap() {
            assert_eq!(packet.data, [7; 300]);
            found += 1;
        }
        assert_eq!(found, 1_000);
    }

    #[test]
    fn the_end_is_found_wherever_a_file_is_cut() {
        // Lengths at which all is near the end, and at which it is not.
        for (pages, bytes) in [(12, 40), (40, 60_000)] {
            let whole = stream(pages, bytes);
            let page = whole.len() / pages as usize;
            let cuts = (0..=page).step_by(page / 40).chain([page - 1, page]);
            for cut in cuts.flat_map(|cut| [cut, page + cut, whole.len() - cut]) {
                let left = cut / page;
                let found = End::find(&mut Cursor::new(&whole[..cut])).unwrap();
                let expected = (left >= 2).then(|| End {
                    serial: 77,
                    sequence: u32::try_from(left).unwrap(),
                    granule: (left as u64 - 1) * 960,
                    bytes: (left * page) as u64,
                });
                assert_eq!(found, expected, "cut at {cut}, pages of {page}");
            }
        }
    }

    #[test]
    fn what_is_behind_a_hole_is_not_gone_on_with() {
        let mut file = stream(12, 40);
        let page = file.len() / 12;
        file[5 * page + 30] ^= 1;
        let found = End::find(&mut Cursor::new(&file)).unwrap().unwrap();
        assert_eq!((found.sequence, found.bytes), (5, 5 * page as u64));
        // More than a megabyte of nothing at the end.
        let mut file = stream(12, 40);
        file.extend(vec![0; 3 << 20]);
        let found = End::find(&mut Cursor::new(&file)).unwrap().unwrap();
        assert_eq!((found.sequence, found.bytes), (12, 12 * page as u64));
    }

    #[test]
    fn an_end_is_taken_back() {
        let mut stream = Pages::begin(Vec::new(), 3);
        for n in 0..4 {
            assert!(stream.packet(&[1; 9], n * 100).unwrap());
            stream.close().unwrap();
        }
        let bytes = stream.bytes();
        stream.end(&[1; 9], 350).unwrap();
        let found = End::find(&mut Cursor::new(stream.into_sink())).unwrap().unwrap();
        assert_eq!(found, End { serial: 3, sequence: 4, granule: 300, bytes });
    }
}
