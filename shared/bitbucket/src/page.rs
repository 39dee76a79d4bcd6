//! One page of a listing, and where it says the next one is.

use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::answer;
use crate::call::Call;
use crate::error::Error;
use crate::row::{FromRow, Row, read};

/// A page as it is answered.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
    next: Option<String>,
    size: Option<u64>,
    page: Option<u64>,
    pagelen: Option<u64>,
}

/// A page with its rows read.
pub(crate) struct PageRead<T: FromRow> {
    pub(crate) rows: Vec<Row<T>>,
    pub(crate) next: Option<Next>,
    pub(crate) size: Option<u64>,
    pub(crate) number: Option<u64>,
    pub(crate) pagelen: Option<u64>,
    /// Whether a row names the workspace that was asked for.
    pub(crate) placed: bool,
}

/// Where a page says the next one is: an address of the same listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) url: Url,
    /// The page's number, where the address has a plain one and nothing that was not asked for. Then other pages can be addressed
    /// in the same way.
    pub(crate) number: Option<u64>,
}

impl<T: FromRow> PageRead<T> {
    /// Reads a page that came from `asked`.
    pub(crate) fn read(
        bytes: &[u8],
        asked: &Url,
        call: Call,
        page: u64,
        workspace: Option<BitbucketWorkspaceUuid>,
    ) -> Result<Self, Error> {
        let call = call.page(page);
        let wire: Wire<'_> = answer::json(bytes, call)?;
        let mut rows = Vec::with_capacity(wire.values.len());
        let mut placed = false;
        for (at, raw) in wire.values.into_iter().enumerate() {
            let (row, of) = read(raw, (page, at));
            if let (Some(expected), Some(of)) = (workspace, of) {
                if of.parse() != Ok(expected) {
                    return Err(Error::WrongWorkspace { call });
                }
                placed = true;
            }
            rows.push(row);
        }
        let next = match wire.next.filter(|next| !next.is_empty()) {
            Some(next) => Some(Next::check(&next, asked, call)?),
            None => None,
        };
        Ok(Self { rows, next, size: wire.size, number: wire.page, pagelen: wire.pagelen, placed })
    }
}

impl Next {
    /// Accepts an address of the listing that was asked for and of nothing else: same scheme, host and port, no user, and the same
    /// path but for the values of its `{names}`, since Bitbucket may write a workspace's UUID where its slug was asked for.
    fn check(text: &str, asked: &Url, call: Call) -> Result<Self, Error> {
        let foreign = || Error::ForeignNext { call };
        let url: Url = text.parse().map_err(|_| foreign())?;
        let same_origin = url.scheme() == asked.scheme()
            && url.host() == asked.host()
            && url.port_or_known_default() == asked.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        if !same_origin || !same_listing(&url, asked, call) {
            return Err(foreign());
        }
        let number = plain_number(&url, asked);
        Ok(Self { url, number })
    }
}

fn plain_number(url: &Url, asked: &Url) -> Option<u64> {
    let known = |name: &str| asked.query_pairs().any(|(asked, _)| asked == name);
    let (pages, others): (Vec<_>, Vec<_>) = url.query_pairs().partition(|(name, _)| name == "page");
    let [(_, number)] = pages.as_slice() else { return None };
    let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    let alike = others.iter().all(|(name, _)| known(name));
    (plain && alike).then(|| number.parse().ok()).flatten()
}

fn same_listing(url: &Url, asked: &Url, call: Call) -> bool {
    let (theirs, ours): (Vec<_>, Vec<_>) =
        (url.path().split('/').collect(), asked.path().split('/').collect());
    let names: Vec<bool> = call.template().split('/').map(|part| part.starts_with('{')).collect();
    // The API may stand under a prefix of its own, which comes before what the template describes.
    let prefix = ours.len().saturating_sub(names.len());
    let is_name = |at: usize| at.checked_sub(prefix).and_then(|at| names.get(at)).copied().unwrap_or(false);
    theirs.len() == ours.len()
        && theirs
            .iter()
            .zip(&ours)
            .enumerate()
            .all(|(at, (theirs, ours))| theirs == ours || (is_name(at) && !theirs.is_empty()))
}

/// The address of another page of the same listing.
pub(crate) fn page_of(url: &Url, number: u64) -> Url {
    let mut url = url.clone();
    let others = url.query().unwrap_or_default().split('&');
    let others: Vec<&str> = others.filter(|pair| !pair.is_empty() && !pair.starts_with("page=")).collect();
    let query = if others.is_empty() {
        format!("page={number}")
    } else {
        format!("{}&page={number}", others.join("&"))
    };
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call = Call::get("/2.0/workspaces/{workspace}/members");
    const ASKED: &str =
        "https://api.bitbucket.org/2.0/workspaces/acme/members?pagelen=100&fields=next%2Cvalues";

    fn check(next: &str) -> Result<Next, Error> {
        Next::check(next, &ASKED.parse().unwrap(), CALL)
    }

    #[test]
    fn only_the_same_listing_at_the_same_place_is_a_next_page() {
        for good in [
            "https://api.bitbucket.org/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org:443/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org/2.0/workspaces/%7B0%7D/members?page=2",
        ] {
            assert_eq!(check(good).unwrap().number, Some(2), "{good}");
        }
        for bad in [
            "http://api.bitbucket.org/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org:8443/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org.example.com/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org@example.com/2.0/workspaces/acme/members?page=2",
            "https://user@api.bitbucket.org/2.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org/1.0/workspaces/acme/members?page=2",
            "https://api.bitbucket.org/2.0/workspaces/acme/hooks?page=2",
            "https://api.bitbucket.org/2.0/workspaces//members?page=2",
            "https://api.bitbucket.org/2.0/workspaces/acme/members/../../../evil?page=2",
            "https://api.bitbucket.org/2.0/workspaces/acme/members/more?page=2",
            "//example.com/2.0/workspaces/acme/members?page=2",
            "/2.0/workspaces/acme/members?page=2",
            "javascript:alert(1)",
        ] {
            assert_eq!(check(bad), Err(Error::ForeignNext { call: CALL }), "{bad}");
        }
    }

    #[test]
    fn only_a_plain_number_is_a_page_number() {
        let cases =
            [("2", Some(2)), ("8xhd", None), ("02", None), ("", None), ("2&page=3", None), ("2&ctx=a", None)];
        for (page, number) in cases {
            let next = format!("https://api.bitbucket.org/2.0/workspaces/acme/members?page={page}");
            assert_eq!(check(&next).unwrap().number, number, "{page}");
        }
    }

    #[test]
    fn another_page_keeps_everything_else_of_the_address() {
        let url = page_of(&ASKED.parse().unwrap(), 7);
        assert_eq!(url.as_str(), format!("{ASKED}&page=7"));
        assert_eq!(page_of(&url, 8).as_str(), format!("{ASKED}&page=8"));
        let bare: Url = "https://api.bitbucket.org/2.0/user/emails".parse().unwrap();
        assert_eq!(page_of(&bare, 2).query(), Some("page=2"));
    }
}
