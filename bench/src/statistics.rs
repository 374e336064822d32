//! Medians and spread.

/// Quartiles of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Quartiles {
    /// Of nothing it is nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at =
            |share: usize| values.get((values.len().saturating_sub(1) * share + 2) / 4).copied();
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_those_of_the_sorted_values() {
        let found = Quartiles::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(found, Some(Quartiles { low: 2.0, median: 3.0, high: 4.0 }));
        assert_eq!(Quartiles::of(vec![7.0]).map(|one| one.median), Some(7.0));
        assert_eq!(Quartiles::of(Vec::new()), None);
    }
}
