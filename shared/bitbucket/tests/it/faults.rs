//! Every fault, at every page of every listing, in every way of paging: none ever yields a listing, and each has its own name.

use std::time::Duration;

use rollcall_bitbucket::Limits;
use serde_json::{Value, json};

use crate::listings::{Answer, Fault, KINDS, Kind, Paging, Scene, Stage};
use crate::support::{Reply, once, uuid};

const PAGES: u64 = 3;
const LENGTH: u64 = 2;
/// Two full pages and a half.
const ROWS: u64 = 5;

fn limits() -> Limits {
    Limits { page_length: LENGTH, ..once() }
}

/// Plays a fault at every page of the listings and pagings it concerns, and compares the error's name.
async fn everywhere(
    limits: Limits,
    concerns: impl Fn(&Kind, Paging, u64) -> bool,
    fault: Fault,
    expected: &[&str],
) {
    let stage = Stage::new().await;
    let mut played = 0;
    for kind in KINDS {
        for paging in Paging::ALL {
            for page in (1..=PAGES).filter(|page| concerns(&kind, paging, *page)) {
                stage.set(Scene { kind, paging, rows: ROWS, most: 100, fault: Some((page, fault)) });
                let session = stage.server.session(limits.clone());
                let read = (kind.read)(&session).await;
                let code = read.as_ref().err().map(rollcall_bitbucket::Error::code);
                assert!(
                    code.is_some_and(|code| expected.contains(&code)),
                    "{}, {paging:?}, page {page}: {read:?}",
                    kind.name
                );
                played += 1;
            }
        }
    }
    assert!(played > 0, "the fault was played nowhere");
}

fn always(_: &Kind, _: Paging, _: u64) -> bool {
    true
}

fn sized(_: &Kind, paging: Paging, _: u64) -> bool {
    paging.sized()
}

fn not_last(_: &Kind, _: Paging, page: u64) -> bool {
    page < PAGES
}

fn values(answer: &mut Answer) -> &mut Vec<Value> {
    answer.page["values"].as_array_mut().unwrap()
}

#[tokio::test]
async fn without_a_fault_every_listing_is_complete_in_every_way_of_paging() {
    let stage = Stage::new().await;
    for kind in KINDS {
        for paging in Paging::ALL {
            for rows in [1, 3, 4, 5] {
                for most in [1, 2, 100] {
                    stage.set(Scene { kind, paging, rows, most, fault: None });
                    let read = (kind.read)(&stage.server.session(limits())).await;
                    let length = LENGTH.min(most);
                    if paging == Paging::Opaque && rows > length && rows % length == 0 {
                        // Nothing says that a full last page is the last, and no page after it can be asked for.
                        assert_eq!(read.unwrap_err().code(), "end_unproven", "{} {rows} {most}", kind.name);
                    } else {
                        assert_eq!(
                            read,
                            Ok(usize::try_from(rows).unwrap()),
                            "{} {paging:?} {most}",
                            kind.name
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_fault_of_bitbucket_is_not_an_end() {
    everywhere(
        limits(),
        always,
        |answer, _, _| answer.reply = Some(Reply::new(500, "Something went wrong")),
        &["unavailable"],
    )
    .await;
    everywhere(
        limits(),
        always,
        |answer, _, _| answer.reply = Some(Reply::new(503, "<html>")),
        &["unavailable"],
    )
    .await;
}

#[tokio::test]
async fn too_many_calls_are_not_an_end() {
    let fault: Fault = |answer, _, _| {
        answer.reply = Some(Reply::new(429, "Rate limit for this resource has been exceeded"));
    };
    // Other pages are under way at the same time: they are not sent any more and say so.
    everywhere(limits(), always, fault, &["rate_limited", "paused"]).await;
}

#[tokio::test]
async fn a_page_that_does_not_come_in_time_is_not_an_end() {
    let limits = Limits { deadline: Duration::from_millis(60), ..limits() };
    let numbered = |_: &Kind, paging: Paging, _: u64| paging == Paging::NumberedSized;
    let fault: Fault =
        |answer, _, _| answer.reply = Some(Reply::ok(&answer.page).after(Duration::from_secs(9)));
    everywhere(limits, numbered, fault, &["timeout"]).await;
}

#[tokio::test]
async fn a_page_that_breaks_off_is_not_an_end() {
    everywhere(limits(), always, |answer, _, _| answer.reply = Some(Reply::ok(&answer.page).cut()), &["cut"])
        .await;
    let half: Fault = |answer, _, _| {
        let text = answer.page.to_string();
        answer.reply = Some(Reply::ok(&text[..text.len() / 2]));
    };
    everywhere(limits(), always, half, &["cut"]).await;
}

#[tokio::test]
async fn something_else_than_json_is_not_an_end() {
    for body in ["<!doctype html><title>We will be back</title>", "OK", "", "\u{feff}{}"] {
        let fault: Fault = match body {
            "" => |answer, _, _| answer.reply = Some(Reply::ok("")),
            "OK" => |answer, _, _| answer.reply = Some(Reply::ok("OK")),
            "\u{feff}{}" => |answer, _, _| answer.reply = Some(Reply::ok("\u{feff}{}")),
            _ => |answer, _, _| {
                let page = "<!doctype html><title>We will be back</title>";
                answer.reply = Some(Reply::ok(page).header("content-type", "text/html"));
            },
        };
        everywhere(limits(), always, fault, &["not_json"]).await;
    }
}

#[tokio::test]
async fn json_of_another_shape_is_not_an_end() {
    let faults: [Fault; 6] = [
        |answer, _, _| answer.page = json!({}),
        |answer, _, _| answer.page = json!([]),
        |answer, _, _| answer.page = json!({"type": "error", "error": {"message": "no"}}),
        |answer, _, _| answer.page["values"] = Value::Null,
        |answer, _, _| answer.page["values"] = json!({"0": {}}),
        |answer, _, _| answer.page["size"] = json!("many"),
    ];
    for fault in faults {
        everywhere(limits(), always, fault, &["unexpected"]).await;
    }
}

#[tokio::test]
async fn every_refusal_has_its_own_name() {
    everywhere(
        limits(),
        always,
        |answer, _, _| answer.reply = Some(Reply::new(401, "no")),
        &["unauthorized"],
    )
    .await;
    everywhere(limits(), always, |answer, _, _| answer.reply = Some(Reply::new(403, "no")), &["forbidden"])
        .await;
    everywhere(limits(), always, |answer, _, _| answer.reply = Some(Reply::new(404, "{}")), &["not_found"])
        .await;
    let gone: Fault = |answer, _, _| {
        let body =
            r#"{"type":"error","error":{"message":"CHANGE-2770 - Functionality has been deprecated"}}"#;
        answer.reply = Some(Reply::new(410, body));
    };
    everywhere(limits(), always, gone, &["gone"]).await;
    everywhere(
        limits(),
        always,
        |answer, _, _| answer.reply = Some(Reply::new(400, "Invalid pagelen")),
        &["refused"],
    )
    .await;
    everywhere(limits(), always, |answer, _, _| answer.reply = Some(Reply::new(204, "")), &["refused"]).await;
    let elsewhere: Fault = |answer, _, _| {
        answer.reply = Some(Reply::new(302, "").header("location", "http://127.0.0.1:9/"));
    };
    everywhere(limits(), always, elsewhere, &["redirected"]).await;
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let limits = Limits { longest_answer: 10_000, ..limits() };
    let long: Fault = |answer, _, _| answer.page["padding"] = " ".repeat(20_000).into();
    everywhere(limits, always, long, &["too_large"]).await;
}

#[tokio::test]
async fn an_entry_that_comes_twice_proves_that_the_listing_moved() {
    // Its own page's first entry in place of the second, or after it.
    let within: Fault = |answer, _, page| {
        if page < PAGES {
            let first = values(answer)[0].clone();
            values(answer)[1] = first;
        } else {
            let only = values(answer)[0].clone();
            values(answer).push(only);
        }
    };
    everywhere(limits(), always, within, &["unproven", "end_unproven"]).await;
}

#[tokio::test]
async fn a_page_that_comes_again_in_place_of_another_proves_nothing() {
    let later = |_: &Kind, _: Paging, page: u64| page > 1;
    let again: Fault = |answer, _, _| answer.page["values"] = vec![(answer.row)(1), (answer.row)(2)].into();
    everywhere(limits(), later, again, &["unproven", "end_unproven"]).await;
}

#[tokio::test]
async fn an_entry_that_is_left_out_is_missed() {
    everywhere(
        limits(),
        sized,
        |answer, _, _| {
            values(answer).pop();
        },
        &["unproven"],
    )
    .await;
    everywhere(limits(), sized, |answer, _, _| values(answer).clear(), &["unproven"]).await;
}

#[tokio::test]
async fn an_empty_answer_in_place_of_a_listing_is_not_an_empty_listing() {
    let first = |_: &Kind, paging: Paging, page: u64| page == 1 && paging.sized();
    let fault: Fault = |answer, _, _| {
        let size = answer.page["size"].clone();
        answer.page = json!({"values": [], "size": size});
    };
    everywhere(limits(), first, fault, &["unproven"]).await;
}

#[tokio::test]
async fn a_listing_that_ends_early_is_not_believed() {
    let fault: Fault = |answer, _, _| {
        answer.page.as_object_mut().unwrap().remove("next");
    };
    everywhere(limits(), not_last, fault, &["unproven", "end_unproven"]).await;
}

#[tokio::test]
async fn a_size_that_changes_while_pages_are_read_proves_that_the_listing_moved() {
    let fault: Fault = |answer, _, _| answer.page["size"] = (ROWS + 1).into();
    everywhere(limits(), sized, fault, &["unproven", "pages_out_of_order"]).await;
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_noticed() {
    let to_the_first: Fault = |answer, _, _| answer.page["next"] = (answer.other)(1).into();
    everywhere(limits(), always, to_the_first, &["pages_out_of_order"]).await;
    let to_itself: Fault = |answer, _, page| answer.page["next"] = (answer.other)(page).into();
    everywhere(limits(), always, to_itself, &["pages_out_of_order"]).await;
}

#[tokio::test]
async fn pages_that_are_skipped_are_noticed() {
    let numbered = |_: &Kind, paging: Paging, page: u64| {
        page < PAGES && matches!(paging, Paging::Numbered | Paging::NumberedSized)
    };
    let skip: Fault = |answer, _, page| answer.page["next"] = (answer.other)(page + 2).into();
    everywhere(limits(), numbered, skip, &["pages_out_of_order"]).await;
    let misnumbered: Fault = |answer, _, page| answer.page["page"] = (page + 1).into();
    everywhere(limits(), numbered, misnumbered, &["pages_out_of_order"]).await;
}

#[tokio::test]
async fn a_next_page_that_is_somewhere_else_is_never_asked_for() {
    let faults: [Fault; 5] = [
        |answer, _, page| {
            let next: url::Url = (answer.other)(page + 1).parse().unwrap();
            answer.page["next"] = next.to_string().replace("127.0.0.1", "127.0.0.2").into();
        },
        |answer, _, page| {
            let next = (answer.other)(page + 1).replace("http://", "https://");
            answer.page["next"] = next.into();
        },
        |answer, _, page| {
            let next = (answer.other)(page + 1).replace("http://", "http://user:pass@");
            answer.page["next"] = next.into();
        },
        |answer, _, page| {
            let next = (answer.other)(page + 1).replace("/2.0/", "/internal/");
            answer.page["next"] = next.into();
        },
        |answer, _, _| answer.page["next"] = "file:///etc/passwd".into(),
    ];
    for fault in faults {
        everywhere(limits(), always, fault, &["foreign_next"]).await;
    }
}

#[tokio::test]
async fn a_row_of_another_workspace_ends_the_reading() {
    let placed = |kind: &Kind, _: Paging, _: u64| kind.placed;
    let fault: Fault = |answer, _, _| values(answer)[0]["workspace"]["uuid"] = uuid(9, 9).into();
    everywhere(limits(), placed, fault, &["wrong_workspace"]).await;
}

#[tokio::test]
async fn a_listing_without_an_end_is_given_up() {
    let limits = Limits { most_pages: 2, ..limits() };
    everywhere(limits, |_, _, page| page == 1, |_, _, _| (), &["unproven"]).await;
}

#[tokio::test]
async fn what_passes_quickly_is_asked_again_and_costs_a_call_each_time() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let asked = Arc::new(AtomicU64::new(0));
    let server = crate::support::Server::start({
        let asked = Arc::clone(&asked);
        move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(502, ""),
            1 => Reply::ok("{").cut(),
            _ => Reply::ok(json!({"values": [{"user": {"uuid": uuid(1, 1)}, "workspace": {"uuid": crate::support::WORKSPACE}}]})),
        }
    })
    .await;
    let session = server.session(crate::support::brisk());
    // The last page tells neither a size nor a length: one page more is asked for, which must be empty, and is not.
    assert_eq!(session.members(&crate::support::workspace()).await.unwrap_err().code(), "unproven");
    assert_eq!((asked.load(Ordering::SeqCst), session.budget().spent()), (4, 4));
}
