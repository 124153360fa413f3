//! Latencies in logarithmic buckets: constant memory, constant time, known error.

/// Buckets per power of two; the relative error of a percentile is below 1 / 128.
const SUB: u64 = 128;
const SUB_BITS: u32 = SUB.trailing_zeros();
const BUCKETS: usize = (64 - SUB_BITS as usize) * SUB as usize + SUB as usize;

/// Counts of values (nanoseconds), from which percentiles are read with an error below 0.8 %.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS], total: 0, sum: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The largest value recorded, exactly; 0 if none was.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean; 0 if nothing was recorded.
    pub fn mean(&self) -> u64 {
        (self.sum / u128::from(self.total.max(1))) as u64
    }

    /// The smallest recorded value that `quantile` (0 to 1) of all values do not exceed, rounded
    /// up to its bucket's end; 0 if nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let wanted = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return bucket_end(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (u64::from(shift + 1) * SUB + ((value >> shift) - SUB)) as usize
}

fn bucket_end(index: usize) -> u64 {
    let (group, offset) = (index as u64 / SUB, index as u64 % SUB);
    if group == 0 {
        return offset;
    }
    let shift = group - 1;
    // The last bucket's end is 2^64 - 1: the shift before the subtraction would overflow.
    ((SUB + offset) << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_bucket_and_the_error_is_bounded() {
        for power in 0..64 {
            for value in [(1u64 << power) - 1, 1 << power, (1 << power) + (1 << power) / 3] {
                let end = bucket_end(bucket(value));
                assert!(end >= value, "{value} above the end {end} of its bucket");
                assert!(end - value <= value / SUB, "{value} is shown as {end}");
            }
        }
        assert_eq!(bucket_end(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        (1..=10_000u64).for_each(|value| histogram.record(value * 1000));
        for (quantile, exact) in [(0.5, 5_000_000u64), (0.99, 9_900_000), (1.0, 10_000_000)] {
            let shown = histogram.quantile(quantile);
            assert!(shown >= exact && shown - exact <= exact / SUB, "{quantile}: {shown}");
        }
        assert_eq!(histogram.max(), 10_000_000);
        assert_eq!(histogram.mean(), 5_000_500);
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        let empty = Histogram::default();
        assert_eq!((empty.count(), empty.quantile(0.99), empty.mean(), empty.max()), (0, 0, 0, 0));
    }
}
