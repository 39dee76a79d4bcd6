//! Mails: sent, refused, bounced.

use rollcall_admin::testing::{As, Call};
use rollcall_domain::identity::EmailAddress;
use rollcall_invites::mailer::{Mailer as _, Ses};
use rollcall_invites::{Feedback, note_feedback};
use serde_json::{Value, json};
use standin_aws::event::{Feedback as Kind, mail_feedback};

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_link_goes_by_mail_to_the_stored_address_and_to_nobody_else() {
    let world = World::with_mail().await;
    let answer = world.invite(&As::bootstrap(), json!([{"email": "Grace@example.com"}])).await;
    assert_eq!(answer.text_at("/items/0/invite/delivery"), "sent");
    assert!(answer.json["items"][0]["link"].is_null());
    let (mail, about) = world.outbox.mails.lock().unwrap().pop().unwrap();
    assert_eq!(mail.to.as_str(), "grace@example.com");
    assert_eq!(about.invite.to_string(), answer.text_at("/items/0/invite/id"));
    assert!(mail.text.contains("Shop") && mail.text.contains("Acme"), "{}", mail.text);
    let link = mail.text.split_whitespace().find(|word| word.contains("/invite#")).unwrap();
    assert_eq!(world.found(link).await.unwrap().id, about.invite);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_is_marked_and_its_link_handed_to_the_inviter() {
    let world = World::with_mail().await;
    *world.outbox.refuses.lock().unwrap() = Some("grace@example.com".into());
    let invites = json!([{"email": "grace@example.com"}, {"email": "linus@example.com"}]);
    let answer = world.invite(&As::bootstrap(), invites).await;
    assert_eq!(answer.text_at("/items/0/status"), "issued", "the invite stands");
    assert!(answer.text_at("/items/0/problem/detail").contains("MessageRejected"));
    assert!(world.found(answer.text_at("/items/0/link")).await.is_some());
    assert!(answer.json["items"][1]["problem"].is_null() && answer.json["items"][1]["link"].is_null());
    let path = world.path(&format!("/{}", answer.text_at("/items/0/invite/id")));
    let shown = world.send(Call::new("GET", path).by(&As::bootstrap())).await;
    assert_eq!(shown.text_at("/delivery"), "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn bounces_and_complaints_are_marked_on_the_invite_that_the_mail_was_for() {
    let world = World::with_mail().await;
    let admin = &world.deployment.admin;
    let aws = standin_aws::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let config = aws_sdk_sesv2::Config::builder()
        .behavior_version(aws_sdk_sesv2::config::BehaviorVersion::latest())
        .region(aws_sdk_sesv2::config::Region::new("eu-west-1"))
        .credentials_provider(aws_sdk_sesv2::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(aws.endpoint())
        .build();
    let sender: EmailAddress = "rollcall@example.com".parse().unwrap();
    let ses = Ses::new(aws_sdk_sesv2::Client::from_conf(config), sender);
    let answer = world.invite(&As::bootstrap(), json!([{"email": "grace@example.com"}])).await;
    let (mail, about) = world.outbox.mails.lock().unwrap().pop().unwrap();
    ses.send(&mail, about).await.unwrap();
    let sent = aws.mail().all().pop().unwrap();
    assert_eq!(
        (sent.to.as_slice(), sent.subject.as_str()),
        (&["grace@example.com".to_owned()][..], mail.subject.as_str())
    );

    let path = world.path(&format!("/{}", answer.text_at("/items/0/invite/id")));
    let shown = async || {
        world.send(Call::new("GET", path.clone()).by(&As::bootstrap())).await.text_at("/delivery").to_owned()
    };
    for (kind, feedback, delivery) in [
        (Kind::Delivery, Feedback::Nothing, "sent"),
        (Kind::TransientBounce, Feedback::Nothing, "sent"),
        (Kind::PermanentBounce, Feedback::Marked, "bounced"),
        (Kind::Complaint, Feedback::Marked, "complained"),
    ] {
        let event = mail_feedback(&sent, "grace@example.com", kind, 1_800_000_000_000);
        assert_eq!(note_feedback(admin, &event).await.unwrap(), feedback, "{kind:?}");
        assert_eq!(shown().await, delivery, "{kind:?}");
    }
    for nothing in
        [Value::Null, json!({"detail": {"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}}})]
    {
        assert_eq!(note_feedback(admin, &nothing).await.unwrap(), Feedback::Nothing);
    }
}
