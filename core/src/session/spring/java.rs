//! Looks for one text in a value of Java's serialization, without making anything of what it describes.
//!
//! The stream refers back to what came before, and classes write data of their own, so it must be walked from its
//! beginning. Only strings, and the fields with wanted names, are remembered; no class is ever looked up. It is bounded
//! in every direction and does not recurse: nested collections, cycles and absurd lengths cost no more than the bytes that
//! they are made of.

use alloc::string::String;
use alloc::vec::Vec;

use super::values::STREAM;

/// The text at the end of `path`, a way through fields by their names: a string itself, or of an object there the first of
/// the fields `ends` that is a string. `None` if there is none, or if the value is over a limit, broken, or uses what Spring
/// does not.
pub(super) fn find(value: &[u8], path: &[&str], ends: &[&str]) -> Option<String> {
    if value.len() > VALUE_BYTES {
        return None;
    }
    let bytes = value.strip_prefix(STREAM)?;
    let mut walker = Walker::new(bytes, path, ends);
    let root = walker.walk().ok()?;
    walker.resolve(root)
}

/// Whether this is a stream of one thing, and nothing behind it.
#[cfg(test)]
pub(super) fn is_whole(value: &[u8]) -> bool {
    let mut walker = Walker::new(value.strip_prefix(STREAM).unwrap_or_default(), &[], &[]);
    walker.walk().is_ok() && walker.at == walker.bytes.len()
}

/// Reads modified UTF-8 as Java does; `None` where Java would throw, or for half a surrogate pair.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let continued = |byte: u8| (byte & 0xc0 == 0x80).then_some(u16::from(byte & 0x3f));
        let (unit, width) = match *rest {
            [] => break,
            [byte @ 0..=0x7f, ..] => (u16::from(byte), 1),
            [first @ 0xc0..=0xdf, second, ..] => (u16::from(first & 0x1f) << 6 | continued(second)?, 2),
            [first @ 0xe0..=0xef, second, third, ..] => {
                (u16::from(first & 0x0f) << 12 | continued(second)? << 6 | continued(third)?, 3)
            }
            _ => return None,
        };
        units.push(unit);
        rest = rest.get(width..)?;
    }
    String::from_utf16(&units).ok()
}

/// What the stream is not understood for: a limit, an end, something odd.
#[derive(Debug)]
struct Opaque;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Null,
    /// Where its characters are.
    Text {
        start: u32,
        len: u32,
    },
    /// By its number.
    Object(u32),
    /// A description of a class, by its number.
    Class(u32),
    /// Anything that is never looked into.
    Other,
}

#[derive(Debug)]
struct Class {
    flags: u8,
    /// The first letter of what it is an array of, if it is.
    items: u8,
    /// Its fields: from here on, so many.
    first: u32,
    count: u32,
    parent: Option<u32>,
    /// How many classes there are above it.
    level: u8,
    /// Its description has been read to the end.
    whole: bool,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    letter: u8,
    wanted: Option<u8>,
}

#[derive(Debug)]
struct Kept {
    object: u32,
    wanted: u8,
    thing: Thing,
}

/// What is being read: each waits for the thing above it.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// Something that begins with the description of its class.
    New(New),
    /// The fields of an object, class by class from the top, each followed by what the class wrote itself.
    Object { object: u32, class: u32, level: u8, field: u32, own: bool },
    /// The items of an array.
    Array { left: u32 },
    /// The name of a constant.
    Enum,
    /// What a class wrote about itself, and then its parent.
    Class { class: u32, parent: bool },
}

#[derive(Debug, Clone, Copy)]
enum New {
    Object,
    Array,
    Enum,
    Class,
}

struct Walker<'v, 'n> {
    bytes: &'v [u8],
    at: usize,
    path: &'n [&'n str],
    ends: &'n [&'n str],
    /// What back references refer to.
    things: Vec<Thing>,
    classes: Vec<Class>,
    fields: Vec<Field>,
    kept: Vec<Kept>,
    frames: Vec<Frame>,
}

impl<'v, 'n> Walker<'v, 'n> {
    fn new(bytes: &'v [u8], path: &'n [&'n str], ends: &'n [&'n str]) -> Self {
        let (things, classes, fields) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes, at: 0, path, ends, things, classes, fields, kept: Vec::new(), frames: Vec::new() }
    }

    fn walk(&mut self) -> Result<Thing, Opaque> {
        let mut done = self.content()?;
        while let Some(frame) = self.frames.last().copied() {
            done = match frame {
                Frame::New(new) => self.begun(new, done)?,
                Frame::Object { .. } => self.object(done)?,
                Frame::Array { left } => self.array(left, done)?,
                Frame::Enum => self.end(done.map(|_| Thing::Other)),
                Frame::Class { class, parent } => self.class(class, parent, done)?,
            };
        }
        done.ok_or(Opaque)
    }

    /// Follows the path from the root.
    fn resolve(&self, root: Thing) -> Option<String> {
        let mut thing = root;
        for step in 0..self.path.len() {
            thing = self.field(thing, step)?;
        }
        if let Thing::Object(_) = thing {
            let ends = self.path.len()..self.path.len() + self.ends.len();
            thing = ends.filter_map(|end| self.field(thing, end)).find(|end| matches!(end, Thing::Text { .. }))?;
        }
        let Thing::Text { start, len } = thing else { return None };
        decode(self.bytes.get(start as usize..start as usize + len as usize)?)
    }

    /// The field of an object; where several of its classes have one of that name, the lowest that is set.
    fn field(&self, of: Thing, wanted: usize) -> Option<Thing> {
        let Thing::Object(object) = of else { return None };
        let name = self.name(wanted)?;
        let named = |kept: &&Kept| kept.object == object && self.name(usize::from(kept.wanted)) == Some(name);
        self.kept.iter().rev().filter(named).map(|kept| kept.thing).find(|thing| *thing != Thing::Null)
    }

    fn name(&self, wanted: usize) -> Option<&str> {
        self.path.iter().chain(self.ends).nth(wanted).copied()
    }

    /// Reads a thing, or begins to.
    fn content(&mut self) -> Result<Option<Thing>, Opaque> {
        let tag = self.byte()?;
        let new = match tag {
            NULL => return Ok(Some(Thing::Null)),
            REFERENCE => return self.reference().map(Some),
            STRING | LONG_STRING => return self.text(tag).map(Some),
            BLOCK => {
                let len = usize::from(self.byte()?);
                self.take(len)?;
                return Ok(Some(Thing::Other));
            }
            LONG_BLOCK => {
                let len = self.count()?;
                self.take(len as usize)?;
                return Ok(Some(Thing::Other));
            }
            CLASS_DESCRIPTION | PROXY_DESCRIPTION => return self.begin_class(tag).map(|()| None),
            OBJECT => New::Object,
            ARRAY => New::Array,
            ENUM => New::Enum,
            CLASS => New::Class,
            _ => return Err(Opaque),
        };
        self.push(Frame::New(new))?;
        self.description()
    }

    /// Reads the description of a class, or begins to.
    fn description(&mut self) -> Result<Option<Thing>, Opaque> {
        match self.byte()? {
            NULL => Ok(Some(Thing::Null)),
            REFERENCE => self.reference().map(Some),
            tag @ (CLASS_DESCRIPTION | PROXY_DESCRIPTION) => self.begin_class(tag).map(|()| None),
            _ => Err(Opaque),
        }
    }

    fn begin_class(&mut self, tag: u8) -> Result<(), Opaque> {
        let class = self.classes.len() as u32;
        let first = self.fields.len() as u32;
        let mut items = 0;
        if tag == CLASS_DESCRIPTION {
            let name = self.utf()?;
            items = if name.first() == Some(&b'[') { name.get(1).copied().unwrap_or(0) } else { 0 };
            self.take(8)?;
        }
        self.remember(Thing::Class(class))?;
        let mut flags = SERIALIZABLE;
        if tag == CLASS_DESCRIPTION {
            flags = self.byte()?;
            for _ in 0..self.short()? {
                let letter = self.byte()?;
                let name = self.utf()?;
                let mut names = self.path.iter().chain(self.ends);
                let wanted = names.position(|wanted| wanted.as_bytes() == name).and_then(|at| u8::try_from(at).ok());
                if letter == b'L' || letter == b'[' {
                    match self.byte()? {
                        REFERENCE => drop(self.reference()?),
                        tag @ (STRING | LONG_STRING) => drop(self.text(tag)?),
                        _ => return Err(Opaque),
                    }
                }
                self.fields.push(Field { letter, wanted });
            }
        } else {
            for _ in 0..self.count()? {
                self.utf()?;
            }
        }
        let count = self.fields.len() as u32 - first;
        self.classes.push(Class { flags, items, first, count, parent: None, level: 0, whole: false });
        self.push(Frame::Class { class, parent: false })
    }

    /// What a class wrote about itself is passed over; its parent follows.
    fn class(&mut self, class: u32, parent: bool, done: Option<Thing>) -> Result<Option<Thing>, Opaque> {
        if !parent {
            if !self.ends_here() {
                return self.content();
            }
            self.replace(Frame::Class { class, parent: true });
            return self.description();
        }
        let (above, level) = match done.ok_or(Opaque)? {
            Thing::Null => (None, 0),
            Thing::Class(above) => {
                let it = self.classes.get(above as usize).filter(|it| it.whole).ok_or(Opaque)?;
                (Some(above), it.level + 1)
            }
            Thing::Text { .. } | Thing::Object(_) | Thing::Other => return Err(Opaque),
        };
        if usize::from(level) > DEPTH {
            return Err(Opaque);
        }
        let it = self.classes.get_mut(class as usize).ok_or(Opaque)?;
        (it.parent, it.level, it.whole) = (above, level, true);
        Ok(self.end(Some(Thing::Class(class))))
    }

    /// The class of something new is known.
    fn begun(&mut self, new: New, done: Option<Thing>) -> Result<Option<Thing>, Opaque> {
        let Some(Thing::Class(class)) = done else { return Err(Opaque) };
        let it = self.classes.get(class as usize).filter(|it| it.whole).ok_or(Opaque)?;
        let items = it.items;
        match new {
            New::Class => {
                self.remember(Thing::Other)?;
                Ok(self.end(Some(Thing::Other)))
            }
            New::Enum => {
                self.remember(Thing::Other)?;
                self.replace(Frame::Enum);
                self.content()
            }
            New::Array => {
                self.remember(Thing::Other)?;
                let left = self.count()?;
                if items == b'L' || items == b'[' {
                    self.replace(Frame::Array { left });
                    return Ok(None);
                }
                let size = size(items)?;
                self.take((left as usize).checked_mul(size).ok_or(Opaque)?)?;
                Ok(self.end(Some(Thing::Other)))
            }
            New::Object => {
                let object = self.things.len() as u32;
                self.remember(Thing::Object(object))?;
                self.replace(Frame::Object { object, class, level: 0, field: 0, own: false });
                Ok(None)
            }
        }
    }

    fn array(&mut self, left: u32, done: Option<Thing>) -> Result<Option<Thing>, Opaque> {
        // Nothing is done yet at the first item; each later one stands for itself.
        let left = left - u32::from(done.is_some());
        if left == 0 {
            return Ok(self.end(Some(Thing::Other)));
        }
        self.replace(Frame::Array { left });
        self.content()
    }

    /// Goes on with the fields of the object on top; `done` is the one that was waited for.
    fn object(&mut self, done: Option<Thing>) -> Result<Option<Thing>, Opaque> {
        let Some(Frame::Object { object, class: lowest, mut level, mut field, mut own }) = self.frames.last().copied()
        else {
            return Err(Opaque);
        };
        let depth = self.classes.get(lowest as usize).ok_or(Opaque)?.level;
        if let Some(thing) = done
            && !own
        {
            let class = self.nth(lowest, level).ok_or(Opaque)?;
            let at = self.fields.get((class.first + field) as usize).copied().ok_or(Opaque)?;
            if let Some(wanted) = at.wanted {
                if self.kept.len() == THINGS {
                    return Err(Opaque);
                }
                self.kept.push(Kept { object, wanted, thing });
            }
            field += 1;
        }
        while level <= depth {
            let class = self.nth(lowest, level).ok_or(Opaque)?;
            let (flags, first, count) = (class.flags, class.first, class.count);
            if flags & SERIALIZABLE != 0 {
                while !own && field < count {
                    let letter = self.fields.get((first + field) as usize).ok_or(Opaque)?.letter;
                    if letter == b'L' || letter == b'[' {
                        self.replace(Frame::Object { object, class: lowest, level, field, own });
                        return self.content();
                    }
                    self.take(size(letter)?)?;
                    field += 1;
                }
            }
            let written = match flags & (SERIALIZABLE | EXTERNALIZABLE) {
                0 => false,
                SERIALIZABLE => flags & WRITES_ITSELF != 0,
                EXTERNALIZABLE if flags & IN_BLOCKS != 0 => true,
                _ => return Err(Opaque),
            };
            if written && !self.ends_here() {
                self.replace(Frame::Object { object, class: lowest, level, field, own: true });
                return self.content();
            }
            (level, field, own) = (level + 1, 0, false);
        }
        Ok(self.end(Some(Thing::Object(object))))
    }

    /// The class so far below the top in the line that ends with `lowest`.
    fn nth(&self, lowest: u32, level: u8) -> Option<&Class> {
        let mut class = self.classes.get(lowest as usize)?;
        while class.level > level {
            class = self.classes.get(class.parent? as usize)?;
        }
        Some(class)
    }

    /// Passes over the end of what a class wrote, if that is next.
    fn ends_here(&mut self) -> bool {
        let ends = self.bytes.get(self.at) == Some(&END);
        self.at += usize::from(ends);
        ends
    }

    fn push(&mut self, frame: Frame) -> Result<(), Opaque> {
        if self.frames.len() == DEPTH {
            return Err(Opaque);
        }
        self.frames.push(frame);
        Ok(())
    }

    fn replace(&mut self, frame: Frame) {
        if let Some(top) = self.frames.last_mut() {
            *top = frame;
        }
    }

    fn end(&mut self, thing: Option<Thing>) -> Option<Thing> {
        self.frames.pop();
        thing
    }

    fn remember(&mut self, thing: Thing) -> Result<(), Opaque> {
        if self.things.len() == THINGS {
            return Err(Opaque);
        }
        self.things.push(thing);
        Ok(())
    }

    fn reference(&mut self) -> Result<Thing, Opaque> {
        let number = u32::from_be_bytes(self.array_of()?).checked_sub(FIRST_REFERENCE).ok_or(Opaque)?;
        self.things.get(number as usize).copied().ok_or(Opaque)
    }

    fn text(&mut self, tag: u8) -> Result<Thing, Opaque> {
        let len = if tag == STRING {
            usize::from(self.short()?)
        } else {
            usize::try_from(u64::from_be_bytes(self.array_of()?)).map_err(|_| Opaque)?
        };
        let text = Thing::Text { start: self.at as u32, len: len as u32 };
        self.take(len)?;
        self.remember(text)?;
        Ok(text)
    }

    fn utf(&mut self) -> Result<&'v [u8], Opaque> {
        let len = usize::from(self.short()?);
        self.take(len)
    }

    fn byte(&mut self) -> Result<u8, Opaque> {
        self.array_of().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<u16, Opaque> {
        self.array_of().map(u16::from_be_bytes)
    }

    /// A number of things: what is below zero is none.
    fn count(&mut self) -> Result<u32, Opaque> {
        let count = i32::from_be_bytes(self.array_of()?);
        u32::try_from(count).map_err(|_| Opaque)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], Opaque> {
        self.take(N)?.first_chunk().copied().ok_or(Opaque)
    }

    fn take(&mut self, len: usize) -> Result<&'v [u8], Opaque> {
        let end = self.at.checked_add(len).ok_or(Opaque)?;
        let taken = self.bytes.get(self.at..end).ok_or(Opaque)?;
        self.at = end;
        Ok(taken)
    }
}

/// Bytes of a value of a primitive type.
fn size(letter: u8) -> Result<usize, Opaque> {
    Ok(match letter {
        b'B' | b'Z' => 1,
        b'C' | b'S' => 2,
        b'F' | b'I' => 4,
        b'D' | b'J' => 8,
        _ => return Err(Opaque),
    })
}

/// Bytes of a value.
pub(super) const VALUE_BYTES: usize = 1 << 20;
/// Things within things, and classes above a class.
const DEPTH: usize = 64;
/// What can be referred back to.
const THINGS: usize = 10_000;

const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS_DESCRIPTION: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const CLASS: u8 = 0x76;
const BLOCK: u8 = 0x77;
const END: u8 = 0x78;
const LONG_BLOCK: u8 = 0x7a;
const LONG_STRING: u8 = 0x7c;
const PROXY_DESCRIPTION: u8 = 0x7d;
const ENUM: u8 = 0x7e;
const FIRST_REFERENCE: u32 = 0x7e_0000;
const WRITES_ITSELF: u8 = 1;
const SERIALIZABLE: u8 = 2;
const EXTERNALIZABLE: u8 = 4;
const IN_BLOCKS: u8 = 8;

#[cfg(test)]
mod tests;
