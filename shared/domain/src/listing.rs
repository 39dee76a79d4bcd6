//! The proof of a listing: what turns pages that were read into a fact that may be acted on.
//!
//! Bitbucket's listings are numbered pages over a moving set. They have been seen to repeat entries, to leave some out, to end
//! early and to loop, without any error. A [`Complete`] can be had only from a [`Listing`] that was shown every page and found
//! nothing wrong; whatever else happened is an [`Unproven`], and never "empty".

use core::fmt;
use std::collections::BTreeSet;

use thiserror::Error;

/// An entry that can be told from every other of its listing.
pub trait Keyed {
    /// What tells it apart.
    type Key: Ord + Clone + fmt::Display;

    /// The key of this entry.
    fn key(&self) -> Self::Key;
}

/// Every entry of a listing, each exactly once, as one moment's reading proved it.
///
/// Made only by [`Listing::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete<T>(Vec<T>);

impl<T> Complete<T> {
    /// The entries, in the order they came.
    pub fn entries(&self) -> &[T] {
        &self.0
    }

    /// Takes the entries out. Who does so vouches for them from here on.
    pub fn into_entries(self) -> Vec<T> {
        self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the other side really has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes each entry. Completeness is kept, because none is added or dropped.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Complete<U> {
        Complete(self.0.into_iter().map(change).collect())
    }
}

impl<T: Keyed> Complete<T> {
    /// Proves a listing that is answered in one piece, without pages.
    pub fn unpaged(entries: Vec<T>) -> Result<Self, Unproven> {
        let mut listing = Listing::new(1);
        listing.page(Page { entries, size: None, more: false })?;
        listing.finish()
    }
}

/// One page as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// How many entries the whole listing has, where the answer says so.
    pub size: Option<u64>,
    /// Whether the answer points to a next page.
    pub more: bool,
}

/// Why pages that were read prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unproven {
    /// An entry came twice: the set moved while it was read, or the pages overlap.
    #[error(
        "entry {0} came more than once: the listing moved while it was read; it is read again at the next run"
    )]
    Repeated(String),
    /// The answer's own count differs from what came.
    #[error(
        "{declared} entries were announced and {distinct} came; the listing is read again at the next run"
    )]
    SizeDiffers {
        /// What `size` said.
        declared: u64,
        /// How many distinct entries came.
        distinct: u64,
    },
    /// `size` changed from page to page.
    #[error("the announced number of entries changed from {before} to {after} while the listing was read")]
    SizeMoved {
        /// What an earlier page said.
        before: u64,
        /// What this page said.
        after: u64,
    },
    /// The pages never end.
    #[error("the listing has more than {0} pages, which no workspace of a supported size has")]
    TooManyPages(usize),
    /// The last page that was read points to another one.
    #[error("the last page that was read points to a further page")]
    Unfinished,
    /// A page came after the last one.
    #[error("a page was read after the one that ends the listing")]
    AfterTheEnd,
    /// Nothing was read at all.
    #[error("no page was read")]
    NotRead,
}

/// The pages of a listing as they are read, in order.
#[derive(Debug)]
pub struct Listing<T: Keyed> {
    entries: Vec<T>,
    keys: BTreeSet<T::Key>,
    size: Option<u64>,
    pages: usize,
    most_pages: usize,
    more: bool,
}

impl<T: Keyed> Listing<T> {
    /// A listing of at most `most_pages` pages, none of them read yet.
    pub fn new(most_pages: usize) -> Self {
        Self { entries: Vec::new(), keys: BTreeSet::new(), size: None, pages: 0, most_pages, more: true }
    }

    /// How many pages were read.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Takes the next page.
    pub fn page(&mut self, page: Page<T>) -> Result<(), Unproven> {
        if !self.more {
            return Err(Unproven::AfterTheEnd);
        }
        self.pages += 1;
        if self.pages > self.most_pages {
            return Err(Unproven::TooManyPages(self.most_pages));
        }
        match (self.size, page.size) {
            (Some(before), Some(after)) if before != after => {
                return Err(Unproven::SizeMoved { before, after });
            }
            (None, Some(size)) => self.size = Some(size),
            _ => {}
        }
        for entry in page.entries {
            let key = entry.key();
            if !self.keys.insert(key.clone()) {
                return Err(Unproven::Repeated(key.to_string()));
            }
            self.entries.push(entry);
        }
        self.more = page.more;
        Ok(())
    }

    /// Ends the reading: the proof, or what is missing from it.
    pub fn finish(self) -> Result<Complete<T>, Unproven> {
        if self.pages == 0 {
            return Err(Unproven::NotRead);
        }
        if self.more {
            return Err(Unproven::Unfinished);
        }
        let distinct = u64::try_from(self.keys.len()).unwrap_or(u64::MAX);
        match self.size {
            Some(declared) if declared != distinct => Err(Unproven::SizeDiffers { declared, distinct }),
            _ => Ok(Complete(self.entries)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Keyed for u32 {
        type Key = u32;
        fn key(&self) -> u32 {
            *self
        }
    }

    fn read(pages: Vec<Page<u32>>) -> Result<Complete<u32>, Unproven> {
        let mut listing = Listing::new(1000);
        for page in pages {
            listing.page(page)?;
        }
        listing.finish()
    }

    fn paged(entries: &[u32], pagelen: usize, size: bool) -> Vec<Page<u32>> {
        let total = entries.len() as u64;
        let chunks: Vec<_> =
            if entries.is_empty() { vec![&[][..]] } else { entries.chunks(pagelen).collect() };
        let last = chunks.len() - 1;
        chunks
            .into_iter()
            .enumerate()
            .map(|(at, chunk)| Page {
                entries: chunk.to_vec(),
                size: size.then_some(total),
                more: at != last,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_page_read_is_complete_and_any_disturbance_is_not(
            count in 0_u32..200, pagelen in 1_usize..50, size: bool, disturbance in 0_u8..4, at: prop::sample::Index,
        ) {
            let entries: Vec<u32> = (0..count).collect();
            let mut pages = paged(&entries, pagelen, size);
            let whole = read(pages.clone()).unwrap();
            prop_assert_eq!(whole.entries(), &entries[..]);
            let page = at.index(pages.len());
            match disturbance {
                0 => { pages.truncate(page); }                                  // cut before the end
                1 => { let again = pages[page].clone(); pages.insert(page, again); prop_assume!(count > 0 && pages[page].more); }
                2 => { prop_assume!(size && !pages[page].entries.is_empty()); pages[page].entries.pop(); }
                _ => { prop_assume!(size); pages[page].size = Some(u64::from(count) + 1); }
            }
            prop_assert!(read(pages).is_err());
        }
    }

    #[test]
    fn a_listing_that_was_not_read_is_not_an_empty_one() {
        assert_eq!(read(vec![]), Err(Unproven::NotRead));
        assert!(read(vec![Page { entries: vec![], size: Some(0), more: false }]).unwrap().is_empty());
    }

    #[test]
    fn pages_without_an_end_are_refused() {
        let mut listing = Listing::new(2);
        for number in 0..2_u32 {
            listing.page(Page { entries: vec![number], size: None, more: true }).unwrap();
        }
        let third = listing.page(Page { entries: vec![9], size: None, more: false });
        assert_eq!(third, Err(Unproven::TooManyPages(2)));
    }
}
