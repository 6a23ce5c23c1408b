//! Reading the peer's header blocks.

use std::collections::VecDeque;

use super::fields::{Field, Fields};
use super::table::FIELDS;
use super::{Corrupt, DEFAULT_TABLE, huffman, integer};

/// A scratch that has grown beyond this is given back.
const SCRATCH: usize = 16 * 1024;

/// The peer's dynamic table. We announce no size for it, so that it has the default one.
#[derive(Debug)]
pub(in super::super) struct Decoder {
    /// The newest in front.
    pub(super) table: VecDeque<Field>,
    pub(super) size: usize,
    pub(super) max: usize,
    scratch: Vec<u8>,
}

impl Decoder {
    pub(in super::super) fn new() -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, max: DEFAULT_TABLE, scratch: Vec::new() }
    }

    /// Reads a whole block. It must be read even when nobody wants its fields: it may change the table.
    pub(in super::super) fn decode(&mut self, mut block: &[u8], fields: &mut Fields) -> Result<(), Corrupt> {
        let mut begun = false;
        while let Some(first) = block.first().copied() {
            match first {
                // RFC 7541 §6.1: indexed.
                0x80.. => {
                    let index = integer::take(&mut block, 7)?;
                    fields.push(self.find(index)?);
                }
                // §6.2.1: with incremental indexing.
                0x40.. => {
                    let field = self.literal(&mut block, 6)?;
                    fields.push(&field);
                    self.insert(field);
                }
                // §6.3: the table's size; §4.2: only in front.
                0x20.. => {
                    let max = integer::take(&mut block, 5)?;
                    if begun || max > DEFAULT_TABLE {
                        return Err(Corrupt("the table's size is changed where it must not be"));
                    }
                    self.max = max;
                    self.evict(max);
                    continue;
                }
                // §6.2.2 and §6.2.3: not indexed, never indexed.
                _ => {
                    let field = self.literal(&mut block, 4)?;
                    fields.push(&field);
                }
            }
            begun = true;
        }
        if self.scratch.capacity() > SCRATCH {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    fn find(&self, index: usize) -> Result<&Field, Corrupt> {
        let index = index.checked_sub(1).ok_or(Corrupt("index 0 is no field"))?;
        match index.checked_sub(FIELDS.len()) {
            None => FIELDS.get(index),
            Some(dynamic) => self.table.get(dynamic),
        }
        .ok_or(Corrupt("an index is beyond the table"))
    }

    fn literal(&mut self, block: &mut &[u8], prefix: u32) -> Result<Field, Corrupt> {
        let index = integer::take(block, prefix)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let field = self.named(index, block, &mut scratch);
        self.scratch = scratch;
        field
    }

    fn named(&self, index: usize, block: &mut &[u8], scratch: &mut Vec<u8>) -> Result<Field, Corrupt> {
        if index > 0 {
            let named = self.find(index)?;
            return Ok(named.with_value(text(block, scratch)?));
        }
        let mut name_scratch = Vec::new();
        let name = text(block, &mut name_scratch)?;
        Ok(Field::new(name, text(block, scratch)?))
    }

    fn insert(&mut self, field: Field) {
        // §4.4: what is larger than the table empties it.
        self.evict(self.max.saturating_sub(field.size));
        if field.size <= self.max {
            self.size += field.size;
            self.table.push_front(field);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size > room {
            let Some(oldest) = self.table.pop_back() else { return };
            self.size -= oldest.size;
        }
    }
}

/// A string (§5.2), in the block or decoded into `scratch`.
fn text<'s, 'b: 's>(block: &mut &'b [u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Corrupt> {
    let coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::take(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Corrupt("a string is longer than its block"))?;
    *block = rest;
    if !coded {
        return Ok(text);
    }
    scratch.clear();
    huffman::decode(text, scratch)?;
    Ok(scratch)
}
