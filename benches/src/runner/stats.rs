//! Medians and spreads.

/// What several runs say of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// How many there are.
    pub count: usize,
}

impl Summary {
    /// `None` for no values; values that are no number are left out.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let count = values.len();
        let upper = values[count / 2];
        let median = if count.is_multiple_of(2) {
            f64::midpoint(values[count / 2 - 1], upper)
        } else {
            upper
        };
        Some(Self {
            median,
            low,
            high,
            count,
        })
    }

    /// How far the runs lie apart, as a part of the median.
    pub fn spread(&self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.high - self.low) / self.median
    }
}

/// The value below which `part` (0 to 1) of the sorted values lie; the nearest
/// one that was measured, not one in between.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    // Between 0 and `last`, so the cast keeps the value.
    let index = (part.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        let summary = Summary::of([1.0, 9.0, 1.2]).expect("values");
        assert_eq!(summary.median, 1.2);
        assert_eq!((summary.low, summary.high, summary.count), (1.0, 9.0, 3));
        assert!((summary.spread() - 8.0 / 1.2).abs() < 1e-9);
        assert_eq!(Summary::of([2.0, 1.0]).expect("values").median, 1.5);
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN]), None);
    }

    #[test]
    fn quantiles_are_measured_values() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(50.0));
        assert_eq!(quantile(&sorted, 0.99), Some(99.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
