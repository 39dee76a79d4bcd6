//! The pages that people see: rendered here, no script needed, nothing from anywhere else.
//!
//! Every text that comes from outside is escaped by the template engine. The style is inline and allowed by its hash; so are the
//! invite page's few lines of script, which only move the code out of the address bar into the form.

use askama::Template;
use base64::Engine as _;
use rollcall_domain::identity::Provider;

const STYLE: &str = include_str!("../../templates/style.css");
const INVITE_SCRIPT: &str = include_str!("../../templates/invite.js");

/// At most this many missing repositories are named on the page.
pub const MOST_NAMED: usize = 20;

/// The application that people sign in to, as its vendor wants it shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its logo as a `data:` URI, so that no page loads anything from elsewhere.
    pub logo: Option<String>,
}

impl Default for Application {
    fn default() -> Self {
        Self { name: "Rollcall".to_owned(), logo: None }
    }
}

/// A page: its HTML and the content security policy that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The whole document.
    pub html: String,
    /// The value of its `Content-Security-Policy` header.
    pub content_security_policy: String,
}

/// A template could not be rendered, which only a defect of the program can cause.
#[derive(Debug, thiserror::Error)]
#[error("a page could not be rendered; this is a defect of the program")]
pub struct NotRendered;

/// Renders a page. `form_targets` are origins besides our own that its forms may lead on to: browsers apply `form-action` to the
/// redirects that follow a submission as well.
pub fn render(template: &impl Template, form_targets: &[&str]) -> Result<Page, NotRendered> {
    let html = template.render().map_err(|_| NotRendered)?;
    let mut forms = String::from("'self'");
    for target in form_targets {
        forms.push(' ');
        forms.push_str(target);
    }
    let script = if html.contains(INVITE_SCRIPT) {
        format!(" script-src '{}';", hash(INVITE_SCRIPT))
    } else {
        String::new()
    };
    let content_security_policy = format!(
        "default-src 'none'; style-src '{}';{script} img-src data:; form-action {forms}; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
    );
    Ok(Page { html, content_security_policy })
}

fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

/// A choice of the visitor: where it leads and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where it leads.
    pub href: String,
    /// What it is called.
    pub name: String,
}

/// A provider to accept an invite with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderChoice {
    /// As the form sends it.
    pub value: &'static str,
    /// As people call it.
    pub name: &'static str,
}

impl From<Provider> for ProviderChoice {
    fn from(provider: Provider) -> Self {
        Self { value: provider.as_str(), name: provider.name() }
    }
}

macro_rules! page {
    ($(#[$doc:meta])* $name:ident, $path:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Template)]
        #[template(path = $path)]
        pub struct $name<'a> {
            /// The application that people sign in to.
            pub application: &'a Application,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

page! {
    /// Choosing where to sign in.
    ChooseProvider, "choose_provider.html" {
        /// The workspace, where the address names one.
        workspace: Option<String>,
        /// The providers that are configured.
        providers: Vec<Choice>,
    }
}

page! {
    /// Choosing one of several workspaces.
    ChooseWorkspace, "choose_workspace.html" {
        /// Where the visitor signed in.
        provider: &'a str,
        /// The workspaces they can use.
        workspaces: Vec<Choice>,
    }
}

/// Why somebody is refused, as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Not in the Bitbucket workspace.
    NotInWorkspace,
    /// Lacks some private repositories.
    MissingRepositories {
        /// The first of them, by full name.
        named: Vec<String>,
        /// How many are not named.
        more: usize,
        /// How many there are in all.
        of: usize,
    },
    /// Can access no private repository.
    NoRepository,
    /// Disabled by an admin.
    Disabled,
    /// Signed in with a provider by which only the invited come in.
    NotInvited,
}

impl Reason {
    /// Names at most [`MOST_NAMED`] of the missing repositories, in the order of their names.
    pub fn missing(mut names: Vec<String>, of: usize) -> Self {
        names.sort();
        let more = names.len().saturating_sub(MOST_NAMED);
        names.truncate(MOST_NAMED);
        Self::MissingRepositories { named: names, more, of }
    }
}

page! {
    /// Refused, and why.
    Refused, "refused.html" {
        /// The workspace.
        workspace: &'a str,
        /// Where the visitor signed in.
        provider: &'a str,
        /// As whom.
        display_name: &'a str,
        /// Why.
        reason: Reason,
        /// Where to sign in with another account.
        again: String,
    }
}

page! {
    /// Neither let in nor refused.
    Later, "later.html" {
        /// The workspace.
        workspace: &'a str,
        /// Where the visitor signed in.
        provider: &'a str,
        /// What to tell whoever helps.
        request_id: &'a str,
        /// Where to try again.
        again: String,
    }
}

page! {
    /// Something went wrong, told without details that could help an attacker.
    Failed, "error.html" {
        /// What happened, in a few words.
        title: &'a str,
        /// What to do.
        text: &'a str,
        /// What to tell whoever helps.
        request_id: &'a str,
        /// Where to start again, if that helps.
        again: Option<String>,
    }
}

page! {
    /// The page an invite's link opens. The code is in the fragment, which never reaches a server.
    OpenInvite, "invite.html" {
        /// The script that moves the code into the form.
        script: &'static str,
    }
}

impl<'a> OpenInvite<'a> {
    /// The page.
    pub fn new(application: &'a Application) -> Self {
        Self { application, script: INVITE_SCRIPT }
    }
}

page! {
    /// Who invites, and where to sign in to accept.
    ChooseForInvite, "invite_choose.html" {
        /// Into which workspace.
        workspace: &'a str,
        /// Who invites.
        inviter: &'a str,
        /// Whether the invite makes an admin.
        admin: bool,
        /// What the inviter wrote.
        note: Option<&'a str>,
        /// The code, to send along.
        token: &'a str,
        /// The providers the invite allows.
        providers: Vec<ProviderChoice>,
        /// Until when, as a date.
        until: String,
    }
}

/// A session of the person, as they see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLine {
    /// Its id, to end it by.
    pub id: String,
    /// Since when, as a date.
    pub since: String,
    /// Whether it is this browser's.
    pub current: bool,
}

page! {
    /// Signed in, without an application waiting.
    SignedIn, "signed_in.html" {
        /// As whom.
        display_name: &'a str,
        /// To which workspace.
        workspace: &'a str,
        /// With which role.
        role: &'a str,
        /// In which teams, by name.
        teams: Vec<String>,
        /// Why they are let in, in a sentence.
        why: String,
        /// Their sessions.
        sessions: Vec<SessionLine>,
        /// Providers that can be linked.
        link: Vec<Choice>,
    }
}

page! {
    /// Signed out.
    SignedOut, "signed_out.html" {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(display_name: &str, reason: Reason) -> Page {
        let application = Application::default();
        let page = Refused {
            application: &application,
            workspace: "Acme",
            provider: "Bitbucket",
            display_name,
            reason,
            again: "/login".into(),
        };
        render(&page, &[]).unwrap()
    }

    #[test]
    fn a_name_is_text_whatever_it_contains() {
        let page = refused("<script>alert(1)</script>\"'&", Reason::NotInWorkspace);
        assert!(!page.html.contains("<script>"), "{}", page.html);
        assert!(page.html.contains("&#60;script&#62;"), "{}", page.html);
    }

    #[test]
    fn at_most_twenty_missing_repositories_are_named_in_order_and_the_rest_counted() {
        let names = (0..25).rev().map(|n| format!("acme/r{n:02}")).collect();
        let page = refused("Ada", Reason::missing(names, 80));
        assert!(page.html.contains("acme/r00") && page.html.contains("acme/r19"));
        assert!(!page.html.contains("acme/r20"));
        assert!(page.html.contains("and 5 more") && page.html.contains("all of its 80"));
    }

    #[test]
    fn only_the_invite_page_may_run_a_script_and_only_that_one() {
        let application = Application::default();
        let invite = render(&OpenInvite::new(&application), &[]).unwrap();
        assert!(invite.content_security_policy.contains(&format!("script-src '{}'", hash(INVITE_SCRIPT))));
        let other = render(&SignedOut { application: &application }, &[]).unwrap();
        assert!(!other.content_security_policy.contains("script-src"));
        assert!(other.content_security_policy.starts_with("default-src 'none'"));
    }

    #[test]
    fn no_page_loads_anything_from_elsewhere() {
        let application = Application::default();
        for html in [
            refused("Ada", Reason::Disabled).html,
            render(&OpenInvite::new(&application), &[]).unwrap().html,
            render(&SignedOut { application: &application }, &[]).unwrap().html,
        ] {
            assert!(
                !html.contains("http://") && !html.contains("https://") && !html.contains("//cdn"),
                "{html}"
            );
        }
    }
}
