//! Opus in fragmented MP4 (ISO/IEC 14496-12), as “Encapsulation of Opus in ISO Base Media File
//! Format” has it: a beginning without sound, and segments with it.

use std::io;

use bytes::Bytes;
use mp4_atom::{
    AnySampleGroupEntry, Audio, Codec, Dinf, Dops, Dref, DrefEntry, Edts, Elst, ElstEntry, Encode,
    FourCC, Ftyp, Hdlr, Mdat, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, Opus, Sbgp,
    SbgpEntry, Sgpd, SgpdEntry, Smhd, Stbl, Stco, Stsd, Styp, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex,
    Trun, TrunEntry, TrunSamples, Url,
};

use crate::{BLOCK_FRAMES, PRE_SKIP, SAMPLE_RATE};

const TRACK: u32 = 1;

/// A sample on which no other one depends for being decoded at all.
const SYNC_SAMPLE: u32 = 0x0200_0000;

/// Packets that a decoder has to be given before one that is heard: 80 ms.
const ROLL: i16 = -4;

const ROLL_GROUP: FourCC = FourCC::new(b"roll");

/// Returns what players read first.
pub(super) fn beginning() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc"), FourCC::new(b"mp41")],
    };
    put(&ftyp, &mut bytes)?;
    put(&movie(), &mut bytes)?;
    Ok(bytes)
}

/// Returns a segment with so many packets, which begins at a frame.
pub(super) fn segment(number: u64, at: u64, packets: &[Bytes]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let styp = Styp {
        major_brand: FourCC::new(b"msdh"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"msdh"), FourCC::new(b"cmfs"), FourCC::new(b"iso6")],
    };
    put(&styp, &mut bytes)?;
    // Where the sound begins depends on how long what stands before it is.
    let mut fragment = Vec::new();
    put(&movie_fragment(number, at, packets, 0), &mut fragment)?;
    let header = 8;
    let offset = i32::try_from(fragment.len() + header).map_err(io::Error::other)?;
    put(&movie_fragment(number, at, packets, offset), &mut bytes)?;
    put(&Mdat { data: packets.concat() }, &mut bytes)?;
    Ok(bytes)
}

fn put(what: &impl Encode, bytes: &mut Vec<u8>) -> io::Result<()> {
    what.encode(bytes).map_err(io::Error::other)
}

fn movie() -> Moov {
    Moov {
        mvhd: Mvhd {
            timescale: SAMPLE_RATE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                default_sample_duration: BLOCK_FRAMES as u32,
                default_sample_size: 0,
                default_sample_flags: SYNC_SAMPLE,
            }],
        }),
        trak: vec![track()],
        ..Moov::default()
    }
}

fn track() -> Trak {
    Trak {
        tkhd: Tkhd {
            track_id: TRACK,
            enabled: true,
            in_movie: true,
            volume: 1.into(),
            ..Tkhd::default()
        },
        // What a decoder needs to settle is not heard.
        edts: Some(Edts {
            elst: Some(Elst {
                entries: vec![ElstEntry {
                    segment_duration: 0,
                    media_time: Some(PRE_SKIP.into()),
                    media_rate: 1.into(),
                }],
            }),
        }),
        mdia: Mdia {
            mdhd: Mdhd { timescale: SAMPLE_RATE, language: "und".to_owned(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(b"soun"), name: "OpenStudio".to_owned() },
            minf: Minf {
                smhd: Some(Smhd::default()),
                dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
                stbl: Stbl {
                    stsd: Stsd { codecs: vec![codec()] },
                    stco: Some(Stco::default()),
                    sgpd: vec![roll()],
                    ..Stbl::default()
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

fn codec() -> Codec {
    Codec::Opus(Opus {
        audio: Audio {
            data_reference_index: 1,
            channel_count: 2,
            sample_size: 16,
            sample_rate: (SAMPLE_RATE as u16).into(),
        },
        dops: Dops {
            output_channel_count: 2,
            pre_skip: PRE_SKIP,
            input_sample_rate: SAMPLE_RATE,
            output_gain: 0,
            channel_mapping: None,
        },
        btrt: None,
    })
}

/// Says how much has to be decoded before what is heard.
fn roll() -> Sgpd {
    Sgpd {
        grouping_type: ROLL_GROUP,
        default_length: Some(2),
        default_group_description_index: None,
        static_group_description: false,
        static_mapping: false,
        essential: false,
        entries: vec![SgpdEntry {
            description_length: Some(2),
            entry: AnySampleGroupEntry::UnknownGroupingType(
                ROLL_GROUP,
                ROLL.to_be_bytes().to_vec(),
            ),
        }],
    }
}

fn movie_fragment(number: u64, at: u64, packets: &[Bytes], offset: i32) -> Moof {
    let size = |packet: &Bytes| u32::try_from(packet.len()).ok();
    let sample = |packet| TrunEntry { size: size(packet), duration: None, flags: None, cts: None };
    Moof {
        // It may start again after the largest one.
        mfhd: Mfhd { sequence_number: (number as u32).wrapping_add(1) },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK,
                sample_description_index: Some(1),
                default_sample_duration: Some(BLOCK_FRAMES as u32),
                default_sample_flags: Some(SYNC_SAMPLE),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: at }),
            trun: vec![Trun {
                data_offset: Some(offset),
                samples: TrunSamples::Explicit(packets.iter().map(sample).collect()),
            }],
            sbgp: vec![Sbgp {
                grouping_type: ROLL_GROUP,
                grouping_type_parameter: None,
                entries: vec![SbgpEntry {
                    sample_count: u32::try_from(packets.len()).unwrap_or_default(),
                    group_description_index: 1,
                }],
            }],
            ..Traf::default()
        }],
    }
}
