// tests/browser/run.mjs - phones in a real browser call each other through the SBC. Prints one line per case, "ok NAME" or "NOT OK NAME",
// and ends with 1 when one failed. What it needs to know comes in the environment: see tests/browser/run.
import { createRequire } from "node:module";
import net from "node:net";
import fs from "node:fs";
import path from "node:path";

// The door of the SBC serves the pages; `wss` at SERVER is the SBC's, or a wire to it that can be cut.
// PAGE and ACCEPT are the addresses that `make run` has printed.
const { SITE, SERVER, PLAIN, PAGE, ACCEPT, DOMAIN, PASSWORD, MODULES, LOGS, SPKI, DESK, CHROMIUM = "/usr/bin/chromium", SCREENSHOT, ONLY } =
	process.env;
const { chromium } = createRequire(path.join(MODULES, "here.js"))("playwright-core");
const WAIT_MS = 15000, PACKETS = 25; // half a second of voice

class Failed extends Error {}

function must(what, is_so) {
	if (!is_so)
		throw new Failed(what);
}

async function until(what, is_so, ms = WAIT_MS) {
	for (const end = Date.now() + ms; ;) {
		if (await is_so())
			return;
		if (Date.now() > end)
			throw new Failed(`${what}: not in ${ms} ms`);
		await new Promise((done) => setTimeout(done, 50));
	}
}

// A way to the SBC that can be cut: neither end hears more of the other than that the connection is gone.
class Wire {
	pairs = new Set();
	cuts = 0;

	async open() {
		const to = new URL(SERVER);
		this.server = net.createServer((near) => {
			const far = net.connect(Number(to.port), to.hostname);
			const pair = [near, far];
			this.pairs.add(pair);
			near.pipe(far);
			far.pipe(near);
			for (const end of pair) {
				end.on("error", () => undefined);
				end.on("close", () => { near.destroy(); far.destroy(); this.pairs.delete(pair); });
			}
		});
		await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
		this.url = `${to.protocol}//127.0.0.1:${this.server.address().port}${to.pathname}`;
	}

	cut() {
		this.cuts += this.pairs.size;
		for (const [near, far] of this.pairs) {
			near.resetAndDestroy();
			far.resetAndDestroy();
		}
	}

	close() {
		this.cut();
		this.server.close();
	}
}

// One browser tab with a phone of library `lib`.
class Tab {
	static async open(t, lib, user, server = SERVER) {
		const tab = new Tab();
		tab.user = user;
		tab.page = await t.context.newPage();
		tab.page.on("console", (m) => t.log(`${user}: ${m.text()}`));
		tab.page.on("pageerror", (e) => t.log(`${user}: ${e.stack}`));
		await tab.page.goto(`${SITE}/${lib}.html`);
		await tab.page.evaluate((account) => { window.phone.open(account); }, { server, user, domain: DOMAIN, password: PASSWORD });
		await tab.is("registered", (now) => now.registered);
		return tab;
	}

	now() {
		return this.page.evaluate(() => window.phone.now());
	}

	async is(what, holds, ms) {
		let now;
		await until(`${this.user} ${what}`, async () => holds(now = await this.now()), ms).catch((e) => {
			throw new Failed(`${e.message} (${JSON.stringify(now)})`);
		});
	}

	// do("dial", "bob"): the phone's own promise, if it makes one.
	do(verb, ...words) {
		return this.page.evaluate(([name, args]) => window.phone[name](...args), [verb, words]);
	}

	async start(verb, ...words) {
		await this.page.evaluate(([name, args]) => { Promise.resolve(window.phone[name](...args)).catch(console.error); }, [verb, words]);
	}

	received() {
		return this.page.evaluate(() => window.phone.received());
	}

	async hears(what) {
		const before = await this.received();
		await until(`${this.user} hears the other side ${what}`, async () => await this.received() >= before + PACKETS);
	}

	async hearsNothing(what) {
		await until(`${this.user} hears nothing ${what}`, async () => {
			const before = await this.received();
			await new Promise((done) => setTimeout(done, 500));
			return await this.received() - before < 3; // what was on its way
		});
	}
}

async function connect(caller, callee) {
	await caller.start("dial", callee.user);
	await callee.is("rings", (now) => now.call === "ringing");
	await callee.start("answer");
	for (const tab of [caller, callee])
		await tab.is("talks", (now) => now.call === "talking");
	await both(caller, callee, "after the answer");
}

async function both(one, other, what) {
	await Promise.all([one.hears(what), other.hears(what)]);
}

async function end(by, other) {
	await by.start("hangup");
	for (const tab of [by, other])
		await tab.is("has ended", (now) => now.call === "ended");
}

async function talk(t, from, to, hangs_up) {
	const alice = await Tab.open(t, from, t.name("alice")), bob = await Tab.open(t, to, t.name("bob"));

	await connect(alice, bob);
	await alice.do("hold");
	await bob.is("is held", (now) => now.isHeld);
	await alice.hearsNothing("while he holds");
	await alice.do("resume");
	await bob.is("is held no more", (now) => !now.isHeld);
	await both(alice, bob, "after the hold");
	await (hangs_up === "caller" ? end(alice, bob) : end(bob, alice));
	await alice.do("close");
	await bob.do("close");
}

async function transfer(t, from, to, target) {
	const alice = await Tab.open(t, from, t.name("alice")), bob = await Tab.open(t, to, t.name("bob"));
	const carol = await Tab.open(t, target, t.name("carol"));

	await connect(alice, bob);
	const done = alice.do("refer", carol.user);
	done.catch(() => undefined);
	await carol.is("rings", (now) => now.call === "ringing");
	await carol.start("answer");
	await carol.is("talks", (now) => now.call === "talking");
	await done;
	await alice.start("hangup"); // of the first call, if it is still there
	await both(bob, carol, "after the transfer");
	await end(carol, bob);
}

async function holds(one, other, what) {
	await one.do("hold");
	await other.is("is held", (now) => now.isHeld);
	await one.do("resume");
	await other.is("is held no more", (now) => !now.isHeld);
	await both(one, other, what);
}

// The connection breaks in the middle of a call; the client comes back by itself, by another one. Where the other side speaks first,
// the REGISTER alone has told the SBC where the client is now.
async function cut(t, lib, other, first) {
	const wire = new Wire();
	await wire.open();
	try {
		const alice = await Tab.open(t, lib, t.name("alice"), wire.url), bob = await Tab.open(t, other, t.name("bob"));

		await connect(alice, bob);
		wire.cut();
		must("there was a connection to cut", wire.cuts === 1);
		await alice.is("has noticed", (now) => !now.registered);
		await alice.is("is back", (now) => now.registered);
		await both(alice, bob, "while nobody signals");
		const [one, two] = first === "client" ? [alice, bob] : [bob, alice];
		await holds(one, two, "after the first hold");
		await holds(two, one, "after the second");
		await end(one, two);
	} finally {
		wire.close();
	}
}

// A phone of another world: it answers, and what follows is ours to do well; the two media do not agree.
async function desk(t, lib) {
	const alice = await Tab.open(t, lib, t.name("alice"));
	const heard = (what) => (fs.readFileSync(`${LOGS}/desk.log`, "utf8").match(what) || []).length;
	const acks = heard(/^ACK sip:/gm), byes = heard(/^BYE sip:/gm);

	await alice.start("dial", DESK);
	await until("the desk phone hears ACK", () => heard(/^ACK sip:/gm) > acks);
	await alice.start("hangup");
	await alice.is("has ended", (now) => now.call === "ended");
	await until("the desk phone hears BYE", () => heard(/^BYE sip:/gm) > byes);
}

// The page that is shipped, as its user sees it.
async function registers(page, user) {
	await page.getByRole("button", { name: "Register", exact: true }).press("Enter");
	await page.locator("#account-state").filter({ hasText: `registered as ${user}` }).waitFor();
}

async function pagesTalk(alice, bob) {
	const state = (page, text) => page.locator("#call-state").filter({ hasText: text }).waitFor();
	await alice.getByRole("button", { name: "Call" }).click();
	await bob.getByRole("button", { name: "Answer" }).press("Enter"); // it has the focus
	await state(alice, "talking");
	await state(bob, "talking");
	for (const page of [alice, bob])
		await until("sound plays", () => page.evaluate(() => document.querySelector("audio").currentTime > 0.5));
	if (SCREENSHOT)
		await picture(alice);
	await alice.getByRole("button", { name: "Hold" }).click();
	await state(bob, "the other side holds");
	await alice.getByRole("button", { name: "Resume" }).click();
	await state(bob, "talking");
	await bob.getByRole("button", { name: "Hang up" }).click();
	await state(alice, "the other side hung up");
	await state(bob, "you hung up");
}

// As somebody uses it who asks for passwords: over ws, which browsers take from loopback.
async function demo(t) {
	const open = async (user) => {
		const page = await t.context.newPage();
		page.on("console", (m) => t.log(`${user}: ${m.text()}`));
		await page.goto(`${SITE}/?user=${user}&server=${encodeURIComponent(PLAIN)}&domain=${DOMAIN}`);
		await page.getByLabel("Password").fill(PASSWORD);
		await registers(page, user);
		return page;
	};
	const alice = await open("alice"), bob = await open("bob");
	await pagesTalk(alice, bob);
	await alice.getByRole("button", { name: "Leave" }).click();
	await alice.getByText("not registered").first().waitFor();
}

// Where the WebSockets of a page go from now on.
function socketsOf(page) {
	const urls = [];
	page.on("websocket", (socket) => urls.push(socket.url().replace(/\/$/, "")));
	return urls;
}

const wss = (ACCEPT || "").replace(/^https/, "wss").replace(/\/$/, ""); // of `make run`

// `make run` as it is: its page, the link in it to the other one, nothing typed.
async function made(t) {
	const alice = await t.context.newPage(), hers = socketsOf(alice);
	await alice.goto(PAGE);
	const [bob] = await Promise.all([t.context.waitForEvent("page"), alice.getByText("Open the other one").click()]);
	const his = socketsOf(bob);
	await registers(alice, "alice");
	await registers(bob, "bob");
	await pagesTalk(alice, bob);
	for (const urls of [hers, his])
		must(`one connection, over wss: ${urls}`, urls.length === 1 && urls[0] === wss);
}

// A browser that does not know its certificate: the page says what to do, the browser asks, and the phone is there without more.
async function accepted(t) {
	const page = await t.stranger.newPage(), urls = socketsOf(page);
	await page.goto(PAGE);
	await page.getByRole("button", { name: "Register", exact: true }).click();
	const link = page.locator("#unreached a");
	await link.waitFor();
	must(`it leads where make run says: ${await link.getAttribute("href")}`, new URL(await link.getAttribute("href")).href === ACCEPT);
	const [asked] = await Promise.all([t.stranger.waitForEvent("page"), link.click()]);
	await asked.locator("#details-button").click();
	await asked.locator("#proceed-link").click();
	await asked.getByText("a phone in this browser can use it").waitFor();
	await asked.close();
	await page.locator("#account-state").filter({ hasText: "registered as alice" }).waitFor();
	must("nothing is said of it any more", !await link.isVisible());
	must(`over wss: ${urls}`, urls.at(-1) === wss); // those that failed are not told of
}

async function withoutTls(t) {
	const page = await t.stranger.newPage(), urls = socketsOf(page);
	await page.goto(PAGE);
	await page.getByRole("button", { name: "Register", exact: true }).click();
	await page.getByRole("button", { name: "Register without TLS" }).click();
	await page.locator("#account-state").filter({ hasText: "registered as alice" }).waitFor();
	must(`over ws: ${urls}`, urls.at(-1) === `ws://${new URL(PAGE).hostname}:8088`);
}

async function picture(page) {
	await page.setViewportSize({ width: 640, height: 900 });
	await page.evaluate(() => { document.querySelector("details").open = true; });
	await page.screenshot({ path: SCREENSHOT, fullPage: true });
}

const cases = {
	"JsSIP calls SIP.js, holds, resumes, hangs up": (t) => talk(t, "jssip", "sipjs", "caller"),
	"SIP.js calls JsSIP, holds, resumes; the callee hangs up": (t) => talk(t, "sipjs", "jssip", "callee"),
	"JsSIP transfers SIP.js to JsSIP": (t) => transfer(t, "jssip", "sipjs", "jssip"),
	"SIP.js transfers JsSIP to SIP.js": (t) => transfer(t, "sipjs", "jssip", "sipjs"),
	"JsSIP loses its connection in a call and comes back": (t) => cut(t, "jssip", "sipjs", "other"),
	"SIP.js loses its connection in a call and comes back": (t) => cut(t, "sipjs", "jssip", "client"),
	"JsSIP calls a desk phone": (t) => desk(t, "jssip"),
	"SIP.js calls a desk phone": (t) => desk(t, "sipjs"),
	"the demo page": demo,
	...(PAGE ? {
		"make run: two tabs over wss": made,
		"make run: its certificate is accepted": accepted,
		"make run: without TLS": withoutTls,
	} : {}),
};

async function run(browser, name, i) {
	const lines = [];
	const t = { log: (line) => lines.push(line), name: (who) => `${who}${i}` };
	const start = Date.now();
	let why = null;

	t.context = await browser.newContext();
	t.stranger = await stranger.newContext();
	try {
		await cases[name](t);
	} catch (e) {
		why = e instanceof Failed ? e.message : e.stack;
	}
	await t.context.close();
	await t.stranger.close();
	fs.writeFileSync(`${LOGS}/case-${i}.log`, `${name}\n${lines.join("\n")}\n${why || "ok"}\n`);
	console.log(`${why ? "NOT OK" : "ok"} ${name}${why ? `: ${why.split("\n")[0]}` : ""} (${Date.now() - start} ms)`);
	return why === null;
}

function launch(...more) {
	return chromium.launch({
		executablePath: CHROMIUM,
		args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
			"--autoplay-policy=no-user-gesture-required", "--disable-features=WebRtcHideLocalIpsWithMdns", ...more],
	});
}

const browser = await launch(`--ignore-certificate-errors-spki-list=${SPKI}`);
const stranger = await launch(); // who knows no certificate of ours
let failed = 0;
for (const [i, name] of Object.keys(cases).entries())
	if (!ONLY || name.includes(ONLY))
		failed += !await run(browser, name, i);
await browser.close();
await stranger.close();
process.exit(failed ? 1 : 0);
