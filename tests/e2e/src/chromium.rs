//! A real browser, where there is one: headless Chromium, driven over HTTP (<https://www.w3.org/TR/webdriver2/>).

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long the driver may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name under which the protocol hides an element's id (`WebDriver` §11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium.
pub struct Chromium {
    http: reqwest::Client,
    session: String,
    driver: Child,
}

impl Chromium {
    /// Starts one. `None`, with one line that says so, where there is no Chromium or no driver.
    pub async fn start() -> Option<Self> {
        let (Some(_), Some(driver)) = (find("chromium"), find("chromedriver")) else {
            eprintln!(
                "SKIPPED: chromium and chromedriver are not installed (Debian: chromium chromium-driver)"
            );
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new(driver);
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = driver.spawn().unwrap();
        let http = rollcall_service::http::builder().timeout(PATIENCE).build().unwrap();
        let place = format!("http://127.0.0.1:{port}/session");
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
        ];
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": flags } } } });
        let asked = async {
            loop {
                match http.post(&place).json(&wanted).send().await {
                    Ok(answer) => return answer.json::<Value>().await.unwrap(),
                    // The driver is not up yet.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("the driver answers");
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        Some(Self { session: format!("{place}/{id}"), http, driver })
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await.unwrap();
    }

    /// Clicks on the first link or button whose text has this in it, and waits for the page that it leads to.
    pub async fn click(&self, text: &str) {
        let place = format!("//*[self::a or self::button][contains(., \"{text}\")]");
        let Some(element) = self.find("xpath", &place).await else {
            panic!("there is no “{text}” to click on in:\n{}", self.text().await);
        };
        let before = self.document().await;
        self.post(&format!("/element/{element}/click"), json!({})).await.unwrap();
        let arrived = async {
            while self.document().await == before || !self.is_complete().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.expect("a click leads to another page");
    }

    /// The heading of the page.
    pub async fn heading(&self) -> String {
        match self.find("css selector", "h1").await {
            Some(element) => self.text_of(&element).await,
            None => panic!("there is no heading in:\n{}", self.text().await),
        }
    }

    /// All that can be read on the page.
    pub async fn text(&self) -> String {
        let body = self.find("css selector", "body").await.expect("every page has a body");
        self.text_of(&body).await
    }

    /// Makes the window as large as a phone's or a desktop's.
    pub async fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", json!({ "width": width, "height": height })).await.unwrap();
    }

    /// Keeps a picture of what is shown, in `target/screenshots`.
    pub async fn keep_picture(&self, name: &str) {
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(3).unwrap().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = self.get("/screenshot").await.unwrap();
        let picture = STANDARD.decode(picture.as_str().unwrap()).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// Ends it.
    pub async fn stop(mut self) {
        let _ = self.http.delete(&self.session).send().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }

    /// Which document is shown: another one after each navigation.
    async fn document(&self) -> Option<String> {
        self.find("css selector", "html").await
    }

    async fn is_complete(&self) -> bool {
        let state =
            self.post("/execute/sync", json!({ "script": "return document.readyState", "args": [] })).await;
        state.is_ok_and(|state| state == "complete")
    }

    async fn find(&self, by: &str, place: &str) -> Option<String> {
        let found = self.post("/element", json!({ "using": by, "value": place })).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    async fn text_of(&self, element: &str) -> String {
        let text = self.get(&format!("/element/{element}/text")).await.unwrap();
        text.as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        value(self.http.get(format!("{}{path}", self.session))).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        value(self.http.post(format!("{}{path}", self.session)).json(&body)).await
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // A test that has failed has not stopped it.
        let _ = self.driver.kill();
    }
}

/// The value of an answer, or what was wrong.
async fn value(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    if status.is_success() { Ok(answer["value"].take()) } else { Err(answer["value"]["message"].to_string()) }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
