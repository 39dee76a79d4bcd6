//! Reading a listing to its end, and proving that nothing is missing from it.
//!
//! Where a page tells how many entries there are and points to the next page by number, the other pages are fetched at once, as
//! many as may be under way. Where it does not, each page is asked for by the address the one before gives.
//!
//! The end is proven by `size`. Where no page tells a size, the last page must not be full; if it is, one page more is asked for,
//! which must be there and empty.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use rollcall_domain::listing::{Listing, Page, Unproven};
use url::Url;

use crate::call::{Call, Target};
use crate::error::Error;
use crate::page::{PageRead, page_of};
use crate::row::{FromRow, Listed, Row};
use crate::session::Session;

/// What the first page tells about the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    /// Entries of the whole listing.
    pub(crate) size: u64,
    /// Pages still to be asked for.
    pub(crate) pages: u64,
}

/// A listing, and whether its rows named the workspace that was asked for.
pub(crate) struct Reading<T: FromRow> {
    pub(crate) listed: Listed<T>,
    pub(crate) placed: bool,
}

impl<T: FromRow> Reading<T> {
    /// Whether there was no entry at all, understood or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.seen().is_empty() && self.listed.malformed().is_empty()
    }
}

/// How a listing ended.
pub(crate) enum Ended<T: FromRow> {
    /// Read to its end.
    Whole(Reading<T>),
    /// Not read further, as the first page tells enough.
    Stopped(Ahead),
}

struct Reader<'s, T: FromRow> {
    session: &'s Session,
    call: Call,
    asked: Url,
    workspace: Option<BitbucketWorkspaceUuid>,
    pages: Vec<PageRead<T>>,
}

impl Session {
    /// Reads a listing. With `workspace`, rows that name another one are an error.
    pub(crate) async fn list<T: FromRow>(
        &self,
        target: &Target,
        workspace: Option<BitbucketWorkspaceUuid>,
    ) -> Result<Reading<T>, Error> {
        match self.list_unless(target, workspace, |_| false).await? {
            Ended::Whole(reading) => Ok(reading),
            Ended::Stopped(_) => Err(Error::Unproven { call: target.call(), unproven: Unproven::Unfinished }),
        }
    }

    /// Reads the first entry of a listing, if it has any: to see whether it can be read at all.
    pub(crate) async fn first<T: FromRow>(
        &self,
        target: &Target,
        workspace: Option<BitbucketWorkspaceUuid>,
    ) -> Result<Option<T>, Error> {
        let target = target.clone().query("pagelen", "1");
        let call = target.call();
        let body = self.ask(&target).await?;
        let page: PageRead<T> = PageRead::read(&body.bytes, &target.url(self.api()), call, 1, workspace)?;
        match page.rows.into_iter().next() {
            None => Ok(None),
            Some(Row::Understood(entry)) => Ok(Some(entry)),
            Some(Row::Malformed { entry, .. }) => {
                Err(Error::Malformed { call, count: 1, first: entry.why.to_owned() })
            }
        }
    }

    /// Asks for the first page.
    async fn begin<T: FromRow>(
        &self,
        target: &Target,
        length: u64,
        workspace: Option<BitbucketWorkspaceUuid>,
    ) -> Result<(Reader<'_, T>, PageRead<T>), Error> {
        let target = target.clone().query("pagelen", &length.to_string());
        let (call, asked) = (target.call(), target.url(self.api()));
        let reader = Reader { session: self, call, asked, workspace, pages: Vec::new() };
        let first = reader.fetch(reader.asked.clone(), 1).await?;
        Ok((reader, first))
    }

    /// Reads a listing, unless what the first page tells is enough. Without a size there is nothing to tell.
    pub(crate) async fn list_unless<T: FromRow>(
        &self,
        target: &Target,
        workspace: Option<BitbucketWorkspaceUuid>,
        enough: impl FnOnce(Ahead) -> bool + Send,
    ) -> Result<Ended<T>, Error> {
        let (mut reader, first) = match self.begin(target, self.limits().page_length, workspace).await {
            // Some endpoints refuse the longest page instead of giving a shorter one.
            Err(Error::Refused { status: 400, why, .. }) if why.to_ascii_lowercase().contains("pagelen") => {
                self.begin(target, self.limits().short_page_length, workspace).await?
            }
            begun => begun?,
        };
        reader.follows(&first, 1)?;
        let planned = reader.plan(&first)?;
        if let Some(size) = first.size {
            let ahead = Ahead { size, pages: planned.as_ref().map_or(0, |(_, last)| last.saturating_sub(1)) };
            if enough(ahead) {
                return Ok(Ended::Stopped(ahead));
            }
        }
        let length = first.pagelen;
        reader.pages.push(first);
        if let Some((second, last)) = planned {
            self.foresee(u32::try_from(last.saturating_sub(1)).unwrap_or(u32::MAX));
            reader.numbered(&second, last, length).await?;
        }
        reader.in_order().await?;
        reader.finish().await.map(Ended::Whole)
    }
}

impl<T: FromRow> Reader<'_, T> {
    async fn fetch(&self, url: Url, page: u64) -> Result<PageRead<T>, Error> {
        let call = self.call.page(page);
        let body = self.session.fetch(url.clone(), call).await?;
        PageRead::read(&body.bytes, &url, self.call, page, self.workspace)
    }

    /// The address of the second page and the number of the last one, where that can be known.
    fn plan(&self, first: &PageRead<T>) -> Result<Option<(Url, u64)>, Error> {
        let (Some(size), Some(next)) = (first.size, first.next.as_ref()) else { return Ok(None) };
        if next.number.is_none() {
            return Ok(None);
        }
        let length = first.pagelen.unwrap_or(0).max(first.rows.len() as u64);
        let last = if length == 0 { 0 } else { size.div_ceil(length) };
        let most = self.session.limits().most_pages;
        if last > most as u64 {
            return Err(self.unproven(Unproven::TooManyPages(most)));
        }
        Ok((last >= 2).then(|| (next.url.clone(), last)))
    }

    /// Fetches pages 2 to `last` at once.
    async fn numbered(&mut self, second: &Url, last: u64, length: Option<u64>) -> Result<(), Error> {
        let this = &*self;
        let mut pages: Vec<(u64, PageRead<T>)> = stream::iter(2..=last)
            .map(|number| async move {
                let url = if number == 2 { second.clone() } else { page_of(second, number) };
                let page = this.fetch(url, number).await?;
                this.follows(&page, number)?;
                if page.pagelen != length {
                    return Err(this.out_of_order(number, "a page of another length"));
                }
                if page.next.is_none() && number < last {
                    return Err(this.unproven(Unproven::AfterTheEnd));
                }
                Ok((number, page))
            })
            .buffer_unordered(this.session.limits().in_flight.max(1))
            .try_collect()
            .await?;
        pages.sort_unstable_by_key(|(number, _)| *number);
        self.pages.extend(pages.into_iter().map(|(_, page)| page));
        Ok(())
    }

    /// Follows `next` from the last page read to the end.
    async fn in_order(&mut self) -> Result<(), Error> {
        let mut seen = BTreeSet::from([self.asked.to_string()]);
        while let Some(next) = self.pages.last().and_then(|page| page.next.clone()) {
            let page = self.pages.len() as u64 + 1;
            if !seen.insert(next.url.to_string()) {
                return Err(self.out_of_order(page, "one that was read before"));
            }
            let most = self.session.limits().most_pages;
            if self.pages.len() >= most {
                return Err(self.unproven(Unproven::TooManyPages(most)));
            }
            let read = self.fetch(next.url, page).await?;
            if next.number.is_some() {
                self.follows(&read, page)?;
            } else if read.next.as_ref().is_some_and(|next| seen.contains(next.url.as_str())) {
                return Err(self.out_of_order(page + 1, "one that was read before"));
            }
            self.pages.push(read);
        }
        Ok(())
    }

    /// Checks that a page is the one that was asked for and points to the one after it.
    fn follows(&self, page: &PageRead<T>, number: u64) -> Result<(), Error> {
        if let Some(found) = page.number.filter(|found| *found != number) {
            return Err(self.out_of_order(number, &format!("page {found}")));
        }
        match page.next.as_ref().and_then(|next| next.number) {
            Some(found) if found != number + 1 => {
                Err(self.out_of_order(number + 1, &format!("page {found}")))
            }
            _ => Ok(()),
        }
    }

    async fn finish(self) -> Result<Reading<T>, Error> {
        self.prove_end().await?;
        let placed = self.pages.iter().any(|page| page.placed);
        let mut listing = Listing::new(self.session.limits().most_pages);
        let call = self.call;
        let unproven = |unproven| Error::Unproven { call, unproven };
        for page in self.pages {
            let more = page.next.is_some();
            listing.page(Page { entries: page.rows, size: page.size, more }).map_err(unproven)?;
        }
        let rows = listing.finish().map_err(unproven)?;
        Ok(Reading { listed: Listed::from_rows(call, rows).map_err(unproven)?, placed })
    }

    /// Without a size, a full last page proves nothing: asks for the page after it.
    async fn prove_end(&self) -> Result<(), Error> {
        let Some(last) = self.pages.last() else { return Ok(()) };
        let sized = self.pages.iter().any(|page| page.size.is_some());
        let short = last.pagelen.is_some_and(|length| (last.rows.len() as u64) < length);
        if sized || short || last.rows.is_empty() {
            return Ok(());
        }
        // Pages that are not addressed by number cannot be asked for beyond the last one.
        let numbered =
            self.pages.iter().all(|page| page.next.as_ref().is_none_or(|next| next.number.is_some()));
        if !numbered {
            return Err(Error::EndUnproven { call: self.call });
        }
        let number = self.pages.len() as u64 + 1;
        let beyond = self.fetch(page_of(&self.asked, number), number).await?;
        if beyond.rows.is_empty() && beyond.next.is_none() {
            return Ok(());
        }
        Err(self.unproven(Unproven::Unfinished))
    }

    fn unproven(&self, unproven: Unproven) -> Error {
        Error::Unproven { call: self.call, unproven }
    }

    fn out_of_order(&self, expected: u64, found: &str) -> Error {
        Error::PagesOutOfOrder { call: self.call.page(expected), expected, found: found.to_owned() }
    }
}
