//! Numbered places for values, in chunks that never move: a table that grows
//! by doubling would hold twice what it needs, and three times while it grows.

/// Values in a chunk.
const CHUNK: usize = 1024;

/// Values by number. Numbers of removed values are used again.
#[derive(Debug, Clone)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    end: u32,
}

const fn split(number: u32) -> (usize, usize) {
    (number as usize / CHUNK, number as usize % CHUNK)
}

impl<T> Chunks<T> {
    pub(crate) const fn new() -> Chunks<T> {
        Chunks {
            chunks: Vec::new(),
            free: Vec::new(),
            end: 0,
        }
    }

    /// Puts a value somewhere; its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            let number = self.end;
            // Memory ends before the numbers do.
            self.end += 1;
            number
        });
        let (chunk, at) = split(number);
        if chunk == self.chunks.len() {
            // Small tables stay small: only further chunks come in one piece.
            let capacity = if chunk == 0 { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            match chunk.get_mut(at) {
                Some(place) => *place = Some(value),
                None => chunk.push(Some(value)),
            }
        }
        number
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, at) = split(number);
        self.chunks.get(chunk)?.get(at)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (chunk, at) = split(number);
        self.chunks.get_mut(chunk)?.get_mut(at)?.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let (chunk, at) = split(number);
        let value = self.chunks.get_mut(chunk)?.get_mut(at)?.take()?;
        self.free.push(number);
        if self.free.len() == self.end as usize {
            // Empty: numbers start anew. The chunks stay for what comes next:
            // given back, they would be of use to the thread that made them
            // only, and the next table would take new ones beside them.
            for chunk in &mut self.chunks {
                chunk.clear();
            }
            self.free = Vec::new();
            self.end = 0;
        }
        Some(value)
    }

    /// Gives back the chunks of values that are all gone.
    pub(crate) fn rest(&mut self) {
        if self.end == 0 {
            self.chunks = Vec::new();
        }
    }

    /// Values with their numbers, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> + '_ {
        let values = self.chunks.iter().flatten();
        (0u32..)
            .zip(values)
            .filter_map(|(number, value)| Some((number, value.as_ref()?)))
    }

    /// One more than the highest number ever used.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }
}
