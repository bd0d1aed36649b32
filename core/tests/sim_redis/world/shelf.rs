//! Where things lie that are under way, each under a number.

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Shelf<T> {
    pub(crate) fn put(&mut self, thing: T) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(thing);
                place
            }
            None => {
                self.places.push(Some(thing));
                self.places.len() - 1
            }
        }
    }

    pub(crate) fn get(&self, place: usize) -> &T {
        self.places[place].as_ref().expect("it lies there")
    }

    pub(crate) fn take(&mut self, place: usize) -> T {
        self.free.push(place);
        self.places[place].take().expect("it lies there")
    }

    /// Puts back what has just been taken.
    pub(crate) fn put_back(&mut self, place: usize, thing: T) {
        assert_eq!(self.free.pop(), Some(place), "it was taken last");
        self.places[place] = Some(thing);
    }
}
