//! SES, proven with the real SDK, and the outbox.

use crate::support::services;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use serde_json::Value;
use standin_aws::Running;
use standin_aws::event::{Feedback, mail_feedback};

fn part(text: &str) -> Content {
    Content::builder().data(text).build().unwrap()
}

fn content(subject: &str, text: &str, html: &str) -> EmailContent {
    let body = Body::builder().text(part(text)).html(part(html)).build();
    let field = MessageHeader::builder().name("X-Entity-Ref-ID").value("42").build().unwrap();
    EmailContent::builder()
        .simple(Message::builder().subject(part(subject)).body(body).headers(field).build())
        .build()
}

async fn page(aws: &Running, path: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http.get(format!("{}{path}", aws.endpoint())).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn a_mail_is_kept_in_the_outbox_and_goes_no_further() {
    let (aws, config) = services().await;
    let sent = Client::new(&config)
        .send_email()
        .from_email_address("Rollcall <invites@rollcall.example>")
        .destination(Destination::builder().to_addresses("ines@mail.example").build())
        .content(content("An invitation", "Open http://localhost:8080/invite#t", "<p>Open</p>"))
        .send()
        .await
        .unwrap();
    let [mail] = &aws.mail().to("ines@mail.example")[..] else { panic!("one mail") };
    assert_eq!(sent.message_id(), Some(mail.id.as_str()));
    assert_eq!(mail.from, "Rollcall <invites@rollcall.example>");
    assert_eq!(mail.subject, "An invitation");
    assert_eq!(mail.text.as_deref(), Some("Open http://localhost:8080/invite#t"));
    assert_eq!(mail.html.as_deref(), Some("<p>Open</p>"));
    assert_eq!(mail.headers, [("X-Entity-Ref-ID".to_owned(), "42".to_owned())]);
}

#[tokio::test]
async fn a_hostile_mail_is_shown_as_text_and_in_a_frame_without_script() {
    let (aws, config) = services().await;
    let hostile = "</pre></iframe>\"><script>alert(1)</script>";
    Client::new(&config)
        .send_email()
        .from_email_address("invites@rollcall.example")
        .destination(Destination::builder().to_addresses("\"<b>\"@mail.example").build())
        .content(content(hostile, &format!("{hostile} https://rollcall.example/invite#<x>"), hostile))
        .send()
        .await
        .unwrap();
    assert!(!page(&aws, "/_outbox").await.contains("<script"));
    let id = aws.mail().all()[0].id.clone();
    let one = page(&aws, &format!("/_outbox/{id}")).await;
    assert!(!one.contains("<script") && !one.contains("<b>"), "{one}");
    assert!(one.contains("sandbox=\"allow-popups allow-popups-to-escape-sandbox\""));
    assert!(one.contains("<a href=\"https://rollcall.example/invite#&lt;x&gt;\""));
    assert_eq!(one.matches("<iframe").count(), 1);
}

#[tokio::test]
async fn the_outbox_is_json_for_who_asks_for_it() {
    let (aws, _config) = services().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let place = format!("{}/_outbox", aws.endpoint());
    let mails: Value =
        http.get(place).header("accept", "application/json").send().await.unwrap().json().await.unwrap();
    assert_eq!(mails, serde_json::json!([]));
    assert!(page(&aws, "/_outbox").await.contains("Nothing has been sent yet"));
}

#[tokio::test]
async fn only_verified_senders_send_and_no_header_is_smuggled_in() {
    let (aws, config) = services().await;
    aws.mail().verify_sender("invites@rollcall.example");
    let client = Client::new(&config);
    let send = |from: &str, subject: &str| {
        client
            .send_email()
            .from_email_address(from)
            .destination(Destination::builder().to_addresses("ines@mail.example").build())
            .content(content(subject, "x", "x"))
            .send()
    };
    assert!(send("Rollcall <Invites@rollcall.example>", "Hello").await.is_ok());
    let refused = send("other@rollcall.example", "Hello").await.unwrap_err().into_service_error();
    assert!(refused.is_message_rejected(), "{refused:?}");
    let refused = send("invites@rollcall.example", "Hello\r\nBcc: all@mail.example").await;
    assert!(refused.unwrap_err().into_service_error().is_bad_request_exception());
    assert_eq!(aws.mail().all().len(), 1);
}

#[tokio::test]
async fn what_became_of_a_mail_is_told_as_an_event() {
    let (aws, config) = services().await;
    Client::new(&config)
        .send_email()
        .from_email_address("Rollcall <invites@rollcall.example>")
        .destination(Destination::builder().to_addresses("gone@mail.example").build())
        .content(content("An invitation", "x", "x"))
        .send()
        .await
        .unwrap();
    let mail = &aws.mail().all()[0];
    let event = mail_feedback(mail, "gone@mail.example", Feedback::PermanentBounce, 1_795_406_706_000);
    assert_eq!(event["detail-type"], "Email Bounced");
    assert_eq!(event["time"], "2026-11-23T04:05:06Z");
    assert_eq!(event["detail"]["mail"]["messageId"], mail.id.as_str());
    assert_eq!(event["detail"]["bounce"]["bouncedRecipients"][0]["emailAddress"], "gone@mail.example");
    let event = mail_feedback(mail, "gone@mail.example", Feedback::Complaint, 0);
    assert_eq!(event["detail"]["complaint"]["complainedRecipients"][0]["emailAddress"], "gone@mail.example");
}
