//! Telling a lasting problem once.

/// What was said last.
#[derive(Clone, Debug, Default)]
pub struct Told(Option<String>);

impl Told {
    /// Whether `problem` is another one than before; one that differs in its numbers only, a time
    /// perhaps, is the same.
    pub fn is_new(&mut self, problem: Option<&str>) -> bool {
        let problem = problem.map(|text| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        let is_new = self.0 != problem;
        self.0 = problem;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_problem_is_new_once() {
        let mut told = Told::default();
        assert!(!told.is_new(None));
        assert!(told.is_new(Some("the clock is 45s ahead")));
        assert!(!told.is_new(Some("the clock is 46s ahead")));
        assert!(told.is_new(Some("the clock is 46s behind")));
        assert!(told.is_new(None));
        assert!(told.is_new(Some("the clock is 46s behind")));
    }
}
