//! The hash by which things that operators name are told apart in stored state.

/// FNV-1a of 32 bits. What follows from it stands in stored keys, so it never changes.
pub(crate) fn stable_hash(octets: &[u8]) -> u32 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    octets.iter().fold(OFFSET_BASIS, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_published_function() {
        let check = |octets: &[u8], hash: u32| assert_eq!(super::stable_hash(octets), hash);
        check(b"", 0x811c_9dc5);
        check(b"a", 0xe40c_292c);
        check(b"foobar", 0xbf9c_f968);
    }
}
