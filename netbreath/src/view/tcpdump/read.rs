//! Numbers out of a packet of which only the first bytes may be there.

/// The bytes that were asked for were not captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut;

pub(super) type Printed<T = ()> = Result<T, Cut>;

/// What lies behind so many bytes; nothing if there are no more.
pub(super) fn after(data: &[u8], at: usize) -> &[u8] {
    data.get(at..).unwrap_or_default()
}

/// At most so many bytes.
pub(super) fn first(data: &[u8], len: usize) -> &[u8] {
    data.get(..len).unwrap_or(data)
}

pub(super) fn some(data: &[u8], at: usize, len: usize) -> Printed<&[u8]> {
    data.get(at..at.saturating_add(len)).ok_or(Cut)
}

/// Whether so many bytes are there.
pub(super) fn has(data: &[u8], len: usize) -> bool {
    data.len() >= len
}

pub(super) fn bytes<const N: usize>(data: &[u8], at: usize) -> Printed<[u8; N]> {
    data.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Cut)
}

pub(super) fn u8(data: &[u8], at: usize) -> Printed<u8> {
    data.get(at).copied().ok_or(Cut)
}

pub(super) fn u16(data: &[u8], at: usize) -> Printed<u16> {
    bytes(data, at).map(u16::from_be_bytes)
}

pub(super) fn u24(data: &[u8], at: usize) -> Printed<u32> {
    let [a, b, c] = bytes(data, at)?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}

pub(super) fn u32(data: &[u8], at: usize) -> Printed<u32> {
    bytes(data, at).map(u32::from_be_bytes)
}

pub(super) fn u64(data: &[u8], at: usize) -> Printed<u64> {
    bytes(data, at).map(u64::from_be_bytes)
}
