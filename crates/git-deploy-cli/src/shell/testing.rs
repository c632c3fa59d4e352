//! A shell whose output a test can read.

use super::{Settings, Shell, Stream, Surroundings};
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

/// A writer that somebody else can read.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that always fails.
pub(crate) struct Broken(pub(crate) io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Git's configuration, and how often it was asked.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    pub(crate) color: bool,
    pub(crate) advice: Option<bool>,
    pub(crate) asked: Rc<Cell<usize>>,
}

impl Settings for Fake {
    fn wants_color(&self, _stdout_is_terminal: bool) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.color
    }

    fn advice(&self) -> Option<bool> {
        self.asked.set(self.asked.get() + 1);
        self.advice
    }
}

/// A shell and its output.
pub(crate) struct Bench {
    pub(crate) shell: Shell,
    out: Shared,
    err: Shared,
    asked: Rc<Cell<usize>>,
}

impl Bench {
    pub(crate) fn new(terminal: bool, surroundings: Surroundings, settings: Fake) -> Self {
        let (out, err, asked) = (Shared::default(), Shared::default(), settings.asked.clone());
        let streams = [&out, &err].map(|shared| Stream::new(shared.clone(), terminal));
        let [out_stream, err_stream] = streams;
        Self { shell: Shell::new(out_stream, err_stream, surroundings, settings), out, err, asked }
    }

    pub(crate) fn piped() -> Self {
        Self::new(false, Surroundings::default(), Fake::default())
    }

    pub(crate) fn terminal() -> Self {
        Self::new(true, Surroundings::default(), Fake::default())
    }

    pub(crate) fn with_output(out: impl Write + 'static) -> Self {
        let mut bench = Self::piped();
        bench.shell.out = Stream::new(out, false);
        bench
    }

    pub(crate) fn stdout(&mut self) -> String {
        self.shell.flush();
        String::from_utf8(self.out.0.borrow().clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.err.0.borrow().clone()).unwrap()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }
}
