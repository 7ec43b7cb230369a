//! The outer form of a WebAssembly file: its sections. What is in them is not looked at.

use anyhow::{Context, Result, bail};

const MAGIC: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;

/// Whether the module imports anything.
pub(crate) fn has_imports(module: &[u8]) -> Result<bool> {
    for section in sections(module)? {
        if section.id == IMPORT {
            let (count, _) = number(section.content)?;
            return Ok(count > 0);
        }
    }
    Ok(false)
}

/// Leaves names, debug lines and notes of compilers out.
pub(crate) fn without_custom_sections(module: &[u8]) -> Result<Vec<u8>> {
    let kept = sections(module)?.into_iter().filter(|section| section.id != CUSTOM);
    Ok(kept.fold(MAGIC.to_vec(), |mut bytes, section| {
        bytes.extend_from_slice(section.whole);
        bytes
    }))
}

struct Section<'a> {
    id: u8,
    content: &'a [u8],
    /// With what stands before the content.
    whole: &'a [u8],
}

fn sections(module: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut rest = module.strip_prefix(MAGIC).context("not a WebAssembly module")?;
    let mut found = Vec::new();
    while let [id, after @ ..] = rest {
        let (size, after) = number(after)?;
        let Some((content, next)) = after.split_at_checked(size) else {
            bail!("a WebAssembly section ends early");
        };
        let whole = &rest[..rest.len() - next.len()];
        found.push(Section { id: *id, content, whole });
        rest = next;
    }
    Ok(found)
}

/// Reads a number in LEB128, and returns it with what follows.
fn number(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[index + 1..]));
        }
    }
    bail!("a number in a WebAssembly module does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module of these sections.
    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (id, content) in sections {
            bytes.extend([*id, u8::try_from(content.len()).unwrap()]);
            bytes.extend_from_slice(content);
        }
        bytes
    }

    #[test]
    fn imports_are_found() {
        let import = b"\x01\x01a\x01b\0\0";
        assert!(has_imports(&module(&[(1, b"\0"), (IMPORT, import)])).unwrap());
        assert!(!has_imports(&module(&[(1, b"\0"), (IMPORT, b"\0")])).unwrap());
        assert!(!has_imports(&module(&[(1, b"\0")])).unwrap());
    }

    #[test]
    fn custom_sections_go_and_others_stay() {
        let full = module(&[(CUSTOM, b"\x04name"), (1, b"\0"), (CUSTOM, b"\x01x")]);
        assert_eq!(without_custom_sections(&full).unwrap(), module(&[(1, b"\0")]));
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(has_imports(b"").is_err());
        assert!(has_imports(b"\0asm\x01\0\0\0\x01\xff").is_err());
        assert!(has_imports(b"\0asm\x01\0\0\0\x01\x05\0").is_err());
    }
}
