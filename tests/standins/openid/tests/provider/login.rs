//! A login as it should be, and the logins that must not go through.

use crate::support::{NONCE, REDIRECT, SECRET, claims, form, header, location, login, rig, verify};
use serde_json::Value;
use standin_openid::people::{HARBOUR_STUDIO, LINDQVIST_AUDIT};
use standin_openid::{AnswerIssuer, Endpoint, Flavour, MICROSOFT_CONSUMERS, people};

#[tokio::test]
async fn somebody_signs_in_at_google_and_an_independent_library_verifies_the_token() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    assert_eq!(rig.metadata["issuer"], rig.provider.issuer());

    let tokens = rig.tokens("Tomasz Wrona").await;
    let claims =
        verify(tokens["id_token"].as_str().unwrap(), &rig.keys().await, &rig.provider.issuer()).unwrap();
    assert_eq!(claims["email"], "tomasz@wrona-security.example");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["hd"], "wrona-security.example");
    assert_eq!(claims["nonce"], NONCE);
    assert_eq!(claims["name"], "Tomasz Wrona");

    let userinfo =
        |token: &str| rig.http.get(rig.endpoint("userinfo_endpoint")).bearer_auth(token.to_owned()).send();
    let answer: Value =
        userinfo(tokens["access_token"].as_str().unwrap()).await.unwrap().json().await.unwrap();
    assert_eq!(answer["sub"], claims["sub"]);
    assert_eq!(userinfo("unknown").await.unwrap().status(), 401);
}

#[tokio::test]
async fn each_tenant_of_microsoft_has_its_own_issuer_and_the_shared_endpoint_publishes_a_template() {
    let rig = rig(Flavour::microsoft_organizations(), people::at_microsoft()).await;
    let origin = rig.provider.origin();
    assert_eq!(rig.provider.issuer(), format!("{origin}/organizations/v2.0"));
    assert_eq!(rig.metadata["issuer"], format!("{origin}/{{tenantid}}/v2.0"));

    let keys = rig.keys().await;
    for (person, tid) in [("Astrid Lindqvist", LINDQVIST_AUDIT), ("Farah Benali", HARBOUR_STUDIO)] {
        let token = rig.id_token(person).await;
        let claims = verify(&token, &keys, &format!("{origin}/{tid}/v2.0")).unwrap();
        assert_eq!(claims["tid"], tid);
        assert_eq!(claims["ver"], "2.0");
        assert_eq!(claims["xms_edov"], true);
        assert_eq!(claims["oid"].as_str().unwrap().len(), 36);
        assert!(claims.get("email_verified").is_none());
    }
    assert!(claims(&rig.id_token("Owen Price").await).get("xms_edov").is_none());

    let one_tenant: Value = rig
        .http
        .get(format!("{origin}/{HARBOUR_STUDIO}/v2.0/.well-known/openid-configuration"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(one_tenant["issuer"], format!("{origin}/{HARBOUR_STUDIO}/v2.0"));
}

#[tokio::test]
async fn the_shared_endpoint_of_organisations_has_no_personal_accounts_and_common_has() {
    let at_organizations = rig(Flavour::microsoft_organizations(), people::at_microsoft()).await;
    let mut parameters = login();
    parameters.push(("_person", "Nadia Petrov".into()));
    assert_eq!(at_organizations.authorize(&parameters).await.status(), 400);

    let at_common = rig(Flavour::Microsoft { tenant: "common".into() }, people::at_microsoft()).await;
    let token = at_common.id_token("Nadia Petrov").await;
    assert_eq!(claims(&token)["tid"], MICROSOFT_CONSUMERS);
}

#[tokio::test]
async fn the_page_lists_the_people_without_script_and_its_links_sign_in() {
    let mut people = people::at_google();
    people[0].name = "<b>Ines</b> & \"co\"".into();
    let rig = rig(Flavour::Google, people).await;
    let response = rig.authorize(&login()).await;
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = response.text().await.unwrap();
    assert!(page.contains("&lt;b&gt;Ines&lt;/b&gt; &amp; &quot;co&quot;"));
    assert!(!page.contains("<script") && !page.contains("<b>Ines"));

    let link = page.split("class=\"person\" href=\"").nth(2).unwrap().split('"').next().unwrap();
    let url = rig.endpoint("authorization_endpoint").join(&link.replace("&amp;", "&")).unwrap();
    let answer = location(&rig.http.get(url).send().await.unwrap());
    assert!(answer.contains(&("state".into(), "a state & more".into())));

    let cancel = page.split("class=\"cancel\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let url = rig.endpoint("authorization_endpoint").join(&cancel.replace("&amp;", "&")).unwrap();
    let answer = location(&rig.http.get(url).send().await.unwrap());
    assert!(answer.contains(&("error".into(), "access_denied".into())));
}

#[tokio::test]
async fn a_login_with_anything_missing_or_given_twice_goes_no_further() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    for (name, told) in [
        ("client_id", false),
        ("redirect_uri", false),
        ("response_type", true),
        ("scope", true),
        ("state", true),
        ("nonce", true),
        ("code_challenge", true),
        ("code_challenge_method", true),
    ] {
        let mut parameters = login();
        parameters.push(("_person", "Ines Okafor".into()));
        let mut twice = parameters.clone();
        twice.extend(parameters.iter().find(|(known, _)| *known == name).cloned());
        assert_eq!(rig.authorize(&twice).await.status(), 400, "{name} twice");

        parameters.retain(|(known, _)| *known != name);
        let response = rig.authorize(&parameters).await;
        if told {
            let answer = location(&response);
            assert!(answer.iter().any(|(known, _)| known == "error"), "{name}: {answer:?}");
            assert!(!answer.iter().any(|(known, _)| known == "code"), "{name}: {answer:?}");
        } else {
            assert_eq!(response.status(), 400, "{name}");
        }
    }
    for near_miss in [format!("{REDIRECT}/"), format!("{REDIRECT}#"), REDIRECT.to_uppercase()] {
        let mut parameters = login();
        parameters.retain(|(known, _)| *known != "redirect_uri");
        parameters.push(("redirect_uri", near_miss));
        assert_eq!(rig.authorize(&parameters).await.status(), 400);
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_its_redirect_uri_and_its_verifier() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    for (name, value) in [
        ("redirect_uri", "http://localhost:8080/callback/op"),
        ("code_verifier", "another-verifier-of-43-characters-or-more-00000"),
        ("code_verifier", "short"),
        ("grant_type", "password"),
    ] {
        let mut changed = form(&rig.code("Ines Okafor").await);
        changed.retain(|(known, _)| *known != name);
        changed.push((name, value.into()));
        assert_eq!(rig.redeem(&changed).await.status(), 400, "{name} = {value}");
    }

    let first = form(&rig.code("Ines Okafor").await);
    let tokens: Value = rig.redeem(&first).await.json().await.unwrap();
    let again: Value = rig.redeem(&first).await.json().await.unwrap();
    assert_eq!(again["error"], "invalid_grant");
    let userinfo = rig
        .http
        .get(rig.endpoint("userinfo_endpoint"))
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(userinfo.status(), 401, "what was issued for the code is revoked");

    let late = form(&rig.code("Ines Okafor").await);
    rig.provider.advance_clock(61);
    assert_eq!(rig.redeem(&late).await.status(), 400);
}

#[tokio::test]
async fn the_client_shows_its_secret_in_one_of_two_ways() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let place = rig.endpoint("token_endpoint");
    let encoded: String =
        reqwest::Url::parse_with_params("x:/", [("", SECRET)]).unwrap().query().unwrap()[1..].into();
    let post = |form: Vec<(&'static str, String)>| rig.http.post(place.clone()).form(&form);

    let basic = post(form(&rig.code("Ines Okafor").await)).basic_auth("rollcall", Some(&encoded));
    assert_eq!(basic.send().await.unwrap().status(), 200);
    let wrong = post(form(&rig.code("Ines Okafor").await)).basic_auth("rollcall", Some("wrong"));
    let wrong = wrong.send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"], "invalid_client");
    let nobody = post(form(&rig.code("Ines Okafor").await));
    assert_eq!(nobody.send().await.unwrap().status(), 401);
    let mut both = form(&rig.code("Ines Okafor").await);
    both.extend([("client_id", "rollcall".into()), ("client_secret", SECRET.into())]);
    let both = post(both).basic_auth("rollcall", Some(&encoded));
    assert_eq!(both.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn the_answer_names_its_issuer_when_it_is_told_to() {
    let rig = rig(Flavour::microsoft_organizations(), people::at_microsoft()).await;
    let named = |answer: Vec<(String, String)>| -> Vec<String> {
        answer.into_iter().filter(|(name, _)| name == "iss").map(|(_, value)| value).collect()
    };
    let issuer = format!("{}/{LINDQVIST_AUDIT}/v2.0", rig.provider.origin());
    for (choice, expected) in [
        (AnswerIssuer::Absent, vec![]),
        (AnswerIssuer::Right, vec![issuer.clone()]),
        (AnswerIssuer::Other("https://evil.example".into()), vec!["https://evil.example".into()]),
        (AnswerIssuer::Twice, vec![issuer.clone(), issuer.clone()]),
    ] {
        rig.provider.change(|behaviour| behaviour.answer_issuer = choice);
        assert_eq!(named(rig.answer("Astrid Lindqvist").await), expected);
    }
}

#[tokio::test]
async fn what_was_asked_is_written_down_with_its_parameters() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    rig.tokens("Ines Okafor").await;
    let keys = rig.keys().await;
    assert!(keys["keys"].as_array().unwrap().len() > 4, "decoys stand beside the key");
    rig.keys().await;
    assert_eq!(rig.provider.count(Endpoint::Discovery), 1);
    assert_eq!(rig.provider.count(Endpoint::Keys), 2);
    let [authorize] = &rig.provider.requests(Endpoint::Authorize)[..] else { panic!("one request") };
    assert_eq!(authorize.parameter("nonce"), Some(NONCE));
    assert_eq!(authorize.status, 302);
    let [token] = &rig.provider.requests(Endpoint::Token)[..] else { panic!("one request") };
    assert_eq!(token.parameter("code_verifier"), Some(crate::support::VERIFIER));
    assert_eq!(token.header("content-type"), Some("application/x-www-form-urlencoded"));
    rig.provider.forget_requests();
    assert!(rig.provider.all_requests().is_empty());
}

#[tokio::test]
async fn keys_turn_with_and_without_notice() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let published = async || -> Vec<String> {
        let keys = rig.keys().await;
        let kids = keys["keys"].as_array().unwrap().iter().filter_map(|key| key["kid"].as_str());
        kids.filter(|kid| !kid.starts_with("decoy")).map(str::to_owned).collect()
    };
    let first = rig.provider.signing_kid();
    assert_eq!(published().await, *std::slice::from_ref(&first));

    rig.provider.publish_next_key();
    assert_eq!(published().await.len(), 2);
    assert_eq!(header(&rig.id_token("Ines Okafor").await)["kid"], first);
    rig.provider.sign_with_newest_key();
    rig.provider.retire_other_keys();
    let second = rig.provider.signing_kid();
    assert_ne!(second, first);
    assert_eq!(published().await, *std::slice::from_ref(&second));

    rig.provider.sign_with_unpublished_key();
    let third = header(&rig.id_token("Ines Okafor").await)["kid"].as_str().unwrap().to_owned();
    assert!(third != second && !published().await.contains(&third));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let rig = rig(Flavour::Google, Vec::new()).await;
    let address = rig.provider.address();
    let Err(error) = standin_openid::start(Flavour::Google, Vec::new(), Vec::new(), address).await else {
        panic!("two cannot listen on {address}");
    };
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
