//! What a deployment says again that comes to nothing time after time: whoever reads along knows it.

/// So many lines are remembered at most.
const MOST: usize = 100;

/// Holds back what was said before until something else is said, which makes all of it news.
#[derive(Debug)]
pub(crate) struct Echo<T> {
    /// What was said since it began to come to nothing: one trouble has several words, which come in turns.
    before: Vec<String>,
    /// What of that was not said again.
    left: Vec<String>,
    said: Vec<String>,
    held: Vec<T>,
    is_news: bool,
}

impl<T> Default for Echo<T> {
    fn default() -> Self {
        Self { before: Vec::new(), left: Vec::new(), said: Vec::new(), held: Vec::new(), is_news: true }
    }
}

impl<T> Echo<T> {
    /// It is tried again.
    pub(crate) fn begin(&mut self) {
        self.left.clone_from(&self.before);
        self.is_news = self.before.is_empty();
        self.said.clear();
        self.held.clear();
    }

    /// Something is said, in these words. Returns what is to be told now: output and errors come in no order that is always the
    /// same, so that it does not matter what comes first.
    pub(crate) fn hear(&mut self, words: String, what: T) -> Vec<T> {
        self.is_news |= match self.left.iter().position(|left| *left == words) {
            Some(at) => {
                self.left.remove(at);
                false
            }
            None => true,
        };
        self.said.push(words);
        self.held.push(what);
        if self.is_news { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    /// It comes to something: what was held back is to be told now, and all that follows.
    pub(crate) fn gets_on(&mut self) -> Vec<T> {
        self.is_news = true;
        std::mem::take(&mut self.held)
    }

    /// It has ended. Returns what is still to be told: nothing if it came to nothing once more.
    pub(crate) fn end(&mut self, came_to_nothing: bool) -> Vec<T> {
        let held = std::mem::take(&mut self.held);
        let said = std::mem::take(&mut self.said);
        if !came_to_nothing || self.before.len() > MOST {
            self.before.clear();
        }
        if came_to_nothing {
            // Those that were said again are remembered once.
            self.before.retain(|before| !said.contains(before));
            self.before.extend(said);
        }
        if came_to_nothing { Vec::new() } else { held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of one try.
    fn told(
        echo: &mut Echo<&'static str>,
        said: &[&'static str],
        came_to_nothing: bool,
    ) -> Vec<&'static str> {
        echo.begin();
        let mut told: Vec<_> = said.iter().flat_map(|words| echo.hear((*words).to_owned(), words)).collect();
        told.extend(echo.end(came_to_nothing));
        told
    }

    #[test]
    fn what_came_to_nothing_is_told_once_in_whatever_order_it_is_said() {
        let mut echo = Echo::default();
        assert_eq!(told(&mut echo, &["resuming", "no answer"], true), ["resuming", "no answer"]);
        assert!(told(&mut echo, &["no answer", "resuming"], true).is_empty());
        assert!(told(&mut echo, &["resuming", "no answer"], true).is_empty());
    }

    #[test]
    fn what_is_new_is_told_with_all_that_came_before_it() {
        let mut echo = Echo::default();
        told(&mut echo, &["resuming", "no answer"], true);
        assert_eq!(told(&mut echo, &["resuming", "applying"], false), ["resuming", "applying"]);
        assert_eq!(told(&mut echo, &["resuming", "no answer"], true), ["resuming", "no answer"]);
        assert_eq!(told(&mut echo, &["resuming", "denied"], true), ["resuming", "denied"]);
        assert!(told(&mut echo, &["resuming", "no answer"], true).is_empty(), "it was told by then");
    }

    #[test]
    fn what_comes_to_something_is_told_even_in_the_same_words() {
        let mut echo = Echo::default();
        told(&mut echo, &["resuming"], true);
        assert_eq!(told(&mut echo, &["resuming"], false), ["resuming"]);
    }

    #[test]
    fn what_gets_on_is_told_at_once_though_it_was_said_before() {
        let mut echo = Echo::default();
        let said = ["resuming", "applying", "no answer"];
        assert_eq!(told(&mut echo, &said, true), said);
        echo.begin();
        assert!(echo.hear("resuming".to_owned(), "resuming").is_empty());
        assert!(echo.hear("applying".to_owned(), "applying").is_empty());
        assert_eq!(echo.gets_on(), ["resuming", "applying"]);
        assert_eq!(echo.hear("no answer".to_owned(), "no answer"), ["no answer"], "and so is what follows");
    }
}
