//! A straight line through measurements, and how far it can be trusted.

/// Fewer points than this make no trend.
const FEWEST: usize = 10;

/// How something changes with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trend {
    /// By how much in an hour, by least squares.
    pub(crate) per_hour: f64,
    /// The standard error of that. What a process has stays for a while as it is, so that
    /// measurements that follow each other tell less than as many that do not: this counts them
    /// for as many fewer as they are alike.
    pub(crate) error: f64,
}

impl Trend {
    /// The line through `points`, each of them hours and a value; none if they are too few.
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (hours, level) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|point| (point.0 - hours).powi(2)).sum();
        let together: f64 = points.iter().map(|point| (point.0 - hours) * (point.1 - level)).sum();
        let per_hour = together / spread;
        let off: Vec<f64> = points.iter().map(|point| point.1 - level - per_hour * (point.0 - hours)).collect();
        let squares: f64 = off.iter().map(|off| off * off).sum();
        let neighbours: f64 = off.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let alike = if squares > 0.0 { (neighbours / squares).clamp(0.0, 0.99) } else { 0.0 };
        let variance = squares / (count - 2.0) * (1.0 + alike) / (1.0 - alike);
        Some(Self { per_hour, error: (variance / spread).sqrt() })
    }

    /// Whether it is, beyond reasonable doubt, more than `bound` in an hour.
    pub(crate) fn exceeds(self, bound: f64) -> bool {
        self.per_hour - 2.0 * self.error > bound
    }
}
