//! Which server answers which clients: 256 buckets (RFC 3074) [AV-Q7].

use crate::MemberId;
use serde::{Deserialize, Serialize};

/// How many buckets there are (RFC 3074 §5.2).
pub const BUCKETS_LEN: usize = 256;

/// The owner of every bucket. Empty before the first server is enrolled: then nobody answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketMap(Vec<MemberId>);

impl BucketMap {
    /// Whose bucket it is.
    pub fn owner(&self, bucket: u8) -> Option<MemberId> {
        self.0.get(usize::from(bucket)).copied()
    }

    /// Every owner, by bucket.
    pub fn owners(&self) -> &[MemberId] {
        &self.0
    }

    /// The map in which these servers (ascending, no duplicates) have equal shares and as few buckets as possible
    /// change hands. Without servers the map stays as it is: there is nobody to answer.
    pub fn shared_by(&self, servers: &[MemberId]) -> BucketMap {
        let Some(&first) = servers.first() else { return self.clone() };
        let share_of = |position: usize| {
            BUCKETS_LEN / servers.len() + usize::from(position < BUCKETS_LEN % servers.len())
        };
        let mut missing: Vec<usize> = (0..servers.len()).map(share_of).collect();
        let mut map = vec![None; BUCKETS_LEN];
        for (bucket, owner) in self.0.iter().enumerate() {
            if let Ok(position) = servers.binary_search(owner)
                && missing[position] > 0
            {
                missing[position] -= 1;
                map[bucket] = Some(*owner);
            }
        }
        let mut next = 0;
        let owners = map.into_iter().map(|owner| {
            owner.unwrap_or_else(|| {
                while next < missing.len() && missing[next] == 0 {
                    next += 1;
                }
                // The shares sum to 256, so there is always one left; `first` is never needed.
                match missing.get_mut(next) {
                    Some(left) => {
                        *left -= 1;
                        servers[next]
                    }
                    None => first,
                }
            })
        });
        BucketMap(owners.collect())
    }

    /// True if it names exactly 256 owners.
    pub fn is_complete(&self) -> bool {
        self.0.len() == BUCKETS_LEN
    }
}

/// The bucket of a client: the hash of RFC 3074 §6 over its identifier, or over chaddr if it sent none,
/// of which only the first 16 octets count (§4).
pub fn bucket_of(identifier: &[u8]) -> u8 {
    let key = &identifier[..identifier.len().min(16)];
    // Cut to 16 above, so the length fits.
    let seed = key.len() as u8;
    key.iter().rev().fold(seed, |hash, octet| MIXING_TABLE[usize::from(hash ^ octet)])
}

/// The mixing table of RFC 3074 §6.
const MIXING_TABLE: [u8; 256] = [
    251, 175, 119, 215, 81, 14, 79, 191, 103, 49, 181, 143, 186, 157, 0, 232, 31, 32, 55, 60, 152,
    58, 17, 237, 174, 70, 160, 144, 220, 90, 57, 223, 59, 3, 18, 140, 111, 166, 203, 196, 134, 243,
    124, 95, 222, 179, 197, 65, 180, 48, 36, 15, 107, 46, 233, 130, 165, 30, 123, 161, 209, 23, 97,
    16, 40, 91, 219, 61, 100, 10, 210, 109, 250, 127, 22, 138, 29, 108, 244, 67, 207, 9, 178, 204,
    74, 98, 126, 249, 167, 116, 34, 77, 193, 200, 121, 5, 20, 113, 71, 35, 128, 13, 182, 94, 25,
    226, 227, 199, 75, 27, 41, 245, 230, 224, 43, 225, 177, 26, 155, 150, 212, 142, 218, 115, 241,
    73, 88, 105, 39, 114, 62, 255, 192, 201, 145, 214, 168, 158, 221, 148, 154, 122, 12, 84, 82,
    163, 44, 139, 228, 236, 205, 242, 217, 11, 187, 146, 159, 64, 86, 239, 195, 42, 106, 198, 118,
    112, 184, 172, 87, 2, 173, 117, 176, 229, 247, 253, 137, 185, 99, 164, 102, 147, 45, 66, 231,
    52, 141, 211, 194, 206, 246, 238, 56, 110, 78, 248, 63, 240, 189, 93, 92, 51, 53, 183, 19, 171,
    72, 50, 33, 104, 101, 69, 8, 252, 83, 120, 76, 135, 85, 54, 202, 125, 188, 213, 96, 235, 136,
    208, 162, 129, 190, 132, 156, 38, 47, 1, 7, 254, 24, 4, 216, 131, 89, 21, 28, 133, 37, 153,
    149, 80, 170, 68, 6, 169, 234, 151,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_rfc_3074() {
        let check = |key: &[u8], bucket: u8| assert_eq!(bucket_of(key), bucket, "{key:02x?}");
        check(&[], 0);
        check(&[0x00], 175);
        check(&[0xff], 234);
        check(&[0; 6], 254);
        check(&[2, 0, 0, 0, 0, 1], 133);
        check(&[2, 0, 0, 0, 0, 2], 45);
        check(&[2, 0, 0, 0, 0, 3], 182);
        check(&[0x00, 0x11, 0x22, 0x33, 0x44, 0x55], 135);
        check(&[0xff; 6], 79);
        check(&[1, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55], 223);
        check(&[1, 2, 0, 0, 0, 0, 1], 14);
        let duid = [0xff, 0, 0, 0, 1, 0, 1, 0, 1, 0x2a, 0x2b, 0x2c, 0x2d, 2, 0, 0, 0, 0, 1];
        check(&duid, 27);
        let counting: Vec<u8> = (0..17).collect();
        check(&counting[..16], 155);
        check(&counting, 155);
    }

    #[test]
    fn consecutive_hardware_addresses_fill_every_bucket_equally() {
        let mut counts = [0u32; BUCKETS_LEN];
        for low in 0..=u16::MAX {
            let [a, b] = low.to_be_bytes();
            counts[usize::from(bucket_of(&[2, 0, 0, 0, a, b]))] += 1;
        }
        assert_eq!(counts, [256; BUCKETS_LEN]);
    }

    // proves [AV-Q7]
    #[test]
    fn servers_share_the_buckets_and_few_change_hands() {
        let ids = |ids: &[u64]| ids.iter().map(|id| MemberId(*id)).collect::<Vec<_>>();
        let count = |map: &BucketMap, id: u64| {
            map.owners().iter().filter(|owner| **owner == MemberId(id)).count()
        };
        let alone = BucketMap::default().shared_by(&ids(&[1]));
        assert_eq!(count(&alone, 1), 256);
        let pair = alone.shared_by(&ids(&[1, 2]));
        assert_eq!((count(&pair, 1), count(&pair, 2)), (128, 128));
        let three = pair.shared_by(&ids(&[1, 2, 5]));
        assert_eq!((count(&three, 1), count(&three, 2), count(&three, 5)), (86, 85, 85));
        let moved = pair.owners().iter().zip(three.owners()).filter(|(a, b)| a != b).count();
        assert_eq!(moved, 85);
        let lost = three.shared_by(&ids(&[2]));
        assert_eq!(count(&lost, 2), 256);
        assert!(lost.is_complete());
        assert_eq!(lost.shared_by(&[]), lost);
    }
}
