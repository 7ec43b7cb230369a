//! Packets in Ogg: one logical stream for each title, one after the other.

use std::collections::VecDeque;

use bytes::Bytes;
use ogg::PacketWriter;
use ogg::writing::PacketWriteEndInfo;

use crate::text::one_line;
use crate::{BLOCK, CastError, PRE_SKIP, SAMPLE_RATE};

/// A page is closed after so many packets, those that settle a decoder included: 200 ms.
const PAGE: usize = 10;

/// Packets that a decoder is given to settle in mid-programme: 160 ms, twice what is the least
/// (RFC 7845 §4.2), for after the least the seam is heard in a steady tone. Fewer than a page.
const PREROLL: usize = 8;

/// A logical stream lasts for so many packets at least, 1 s: titles may change as fast as they
/// like, and the number of headers is bounded all the same.
const LEAST: u64 = 50;

/// What a packet brought about.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// A page of the present stream that is done.
    pub(crate) page: Option<Bytes>,
    /// A new stream that begins after that page.
    pub(crate) begun: Option<Begun>,
}

/// The beginning of a logical stream.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// Its two header pages.
    pub(crate) headers: Bytes,
    /// What is on.
    pub(crate) title: String,
}

/// All the logical streams of a programme.
#[derive(Debug)]
pub(crate) struct Chain {
    station: String,
    description: String,
    title: String,
    wanted: Option<String>,
    serial: u32,
    stream: Stream,
    recent: VecDeque<Bytes>,
}

impl Chain {
    /// Begins the first stream.
    pub(crate) fn begin(
        station: &str,
        description: &str,
        title: &str,
    ) -> Result<(Self, Begun), CastError> {
        let serial = getrandom::u32().map_err(|error| CastError::System(error.into()))?;
        let recent = VecDeque::with_capacity(PREROLL);
        let [station, description, title] = [station, description, title].map(one_line);
        let (stream, headers) =
            Stream::begin(serial, &recent, tags(&station, &description, &title));
        let begun = Begun { headers, title: title.clone() };
        Ok((Self { station, description, title, wanted: None, serial, stream, recent }, begun))
    }

    /// Wants another title; the last one that was wanted counts.
    pub(crate) fn set_title(&mut self, title: &str) {
        self.wanted = Some(one_line(title)).filter(|title| *title != self.title);
    }

    /// Takes the next packet.
    pub(crate) fn push(&mut self, packet: &Bytes) -> Step {
        let changes = self.stream.packets >= self.stream.silent + LEAST;
        let step = match self.wanted.take_if(|_| changes) {
            Some(title) => self.change(title, packet),
            None => Step { page: self.stream.write(packet), begun: None },
        };
        if self.recent.len() == PREROLL {
            self.recent.pop_front();
        }
        self.recent.push_back(packet.clone());
        step
    }

    /// Takes the very last packet, of which the look-ahead alone is heard. Returns the last page.
    pub(crate) fn end(&mut self, packet: &Bytes) -> Bytes {
        self.stream.end(packet)
    }

    /// The packet is in both streams: at the end of the old one for the last frames that it was
    /// encoded behind, in the new one for all others.
    fn change(&mut self, title: String, packet: &Bytes) -> Step {
        let last = self.stream.end(packet);
        self.title = title;
        self.serial = self.serial.wrapping_add(1);
        let tags = tags(&self.station, &self.description, &self.title);
        let (stream, headers) = Stream::begin(self.serial, &self.recent, tags);
        self.stream = stream;
        // A page has room for more packets than those of the beginning and this one.
        let page = self.stream.write(packet);
        debug_assert!(page.is_none());
        let begun = Begun { headers, title: self.title.clone() };
        Step { page: Some(last), begun: Some(begun) }
    }
}

/// One logical stream.
struct Stream {
    pages: PacketWriter<'static, Vec<u8>>,
    serial: u32,
    /// Packets so far.
    packets: u64,
    /// How many of those are not heard.
    silent: u64,
    /// Packets in the page that is open.
    open: usize,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("packets", &self.packets).finish_non_exhaustive()
    }
}

impl Stream {
    /// Begins a stream with packets that are not heard. Returns its header pages as well.
    fn begin(serial: u32, settling: &VecDeque<Bytes>, tags: Vec<u8>) -> (Self, Bytes) {
        let mut stream =
            Self { pages: PacketWriter::new(Vec::new()), serial, packets: 0, silent: 0, open: 0 };
        let silent = u16::try_from(BLOCK).unwrap_or_default()
            * u16::try_from(settling.len()).unwrap_or_default();
        stream.put(head(PRE_SKIP + silent), PacketWriteEndInfo::EndPage, 0);
        stream.put(tags, PacketWriteEndInfo::EndPage, 0);
        let headers = stream.take();
        for packet in settling {
            drop(stream.write(packet));
        }
        stream.silent = stream.packets;
        (stream, headers)
    }

    fn write(&mut self, packet: &Bytes) -> Option<Bytes> {
        self.packets += 1;
        self.open += 1;
        let closes = self.open >= PAGE;
        let end =
            if closes { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
        self.put(packet.to_vec(), end, self.packets * BLOCK);
        if !closes {
            return None;
        }
        self.open = 0;
        Some(self.take())
    }

    fn end(&mut self, packet: &Bytes) -> Bytes {
        let heard = self.packets * BLOCK + u64::from(PRE_SKIP);
        self.put(packet.to_vec(), PacketWriteEndInfo::EndStream, heard);
        self.take()
    }

    fn put(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, position: u64) {
        // A vector takes all that is written.
        drop(self.pages.write_packet(packet, self.serial, end, position));
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(self.pages.inner_mut()).into()
    }
}

/// `OpusHead` (RFC 7845 §5.1).
fn head(pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    head.extend([1, 2]);
    head.extend(pre_skip.to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// `OpusTags` (RFC 7845 §5.2). Texts are short, so that they fit in one page.
fn tags(station: &str, description: &str, title: &str) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap_or_default();
        length.to_le_bytes().into_iter().chain(text.bytes()).collect()
    };
    let named = [("TITLE", title), ("ORGANIZATION", station), ("DESCRIPTION", description)];
    let comments: Vec<_> = named
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(&format!("{name}={value}")))
        .collect();
    let count = u32::try_from(comments.len()).unwrap_or_default().to_le_bytes().to_vec();
    [b"OpusTags".to_vec(), text("OpenStudio"), count, comments.concat()].concat()
}
