//! Figures that numpy, scipy and exact fractions worked out: `tests/golden/generate.py`.

use std::collections::BTreeMap;

/// The numbers of each quantity of each case.
pub struct Golden(BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>);

/// A case's name and its quantities.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    quantities: &'static BTreeMap<&'static str, Vec<f64>>,
}

impl Golden {
    /// Reads a file whose lines are: case, quantity, numbers.
    pub fn read(text: &'static str) -> &'static Self {
        let mut cases: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split(',');
            let (case, quantity) = (fields.next().unwrap(), fields.next().unwrap());
            let numbers = fields.map(|number| number.parse().unwrap()).collect();
            cases.entry(case).or_default().insert(quantity, numbers);
        }
        Box::leak(Box::new(Self(cases)))
    }

    pub fn cases(&'static self) -> impl Iterator<Item = Case> {
        self.0.iter().map(|(name, quantities)| Case { name, quantities })
    }
}

impl Case {
    pub fn get(&self, quantity: &str) -> Option<&'static [f64]> {
        self.quantities.get(quantity).map(Vec::as_slice)
    }

    #[track_caller]
    pub fn numbers(&self, quantity: &str) -> &'static [f64] {
        self.get(quantity).unwrap_or_else(|| panic!("{} has no {quantity}", self.name))
    }

    pub fn quantities(&self) -> impl Iterator<Item = (&'static str, &'static [f64])> {
        self.quantities.iter().map(|(name, numbers)| (*name, numbers.as_slice()))
    }
}

/// The largest size of any of these.
pub fn largest<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> f64 {
    numbers.into_iter().fold(0.0, |most, number| most.max(number.abs()))
}

/// Whether two numbers agree: to 1e-9, or as far as a few roundings of numbers of the size `scale` allow.
#[track_caller]
pub fn assert_near(got: f64, want: f64, scale: f64, what: &str) {
    let allowed = 1e-9 * want.abs() + 4.0 * f64::EPSILON * scale;
    assert!((got - want).abs() <= allowed, "{what}: {got}, not {want} (± {allowed:e})");
}
